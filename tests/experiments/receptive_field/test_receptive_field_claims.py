"""Verdicts are those of their numbers."""

import pytest

from experiments.receptive_field import claims, study
from experiments.receptive_field.config import PRESETS

RIGHT = study.compare("growth", "plain", "4 layers: pixels", 9, 9)
WRONG = study.compare("growth", "dilation", "4 layers: pixels", 31, 30)


def judged(rows):
    return {verdict.claim: verdict for verdict in claims.verdicts(rows)}


def one(rows, text):
    (verdict,) = [verdict for claim, verdict in judged(rows).items() if text in claim]
    return verdict


def test_a_verdict_is_that_of_its_numbers():
    verdict = one([RIGHT], "exponentially far")
    assert (verdict.verdict, verdict.heading, verdict.seeds) == ("agrees", "Dilation", 0)
    assert verdict.measured == "1 of 1 numbers are as expected; plain: 9 after 4 layers"
    verdict = one([RIGHT, WRONG], "exponentially far")
    assert verdict.verdict == "disagrees"
    assert "1 of 2 numbers are as expected" in verdict.measured
    assert "dilation, 4 layers: pixels: 30 for 31" in verdict.measured
    assert judged([]) == {}


@pytest.mark.parametrize(
    ("claim", "study_name", "case", "quantity"),
    [
        ("the largest over its paths", "nets", "AlexNet", "pool5: pixels"),
        ("The field of “ResNet-50”", "nets", "ResNet-50 v1", "stage4: pixels"),
        ("exponentially far", "growth", "plain", "3 layers: pixels"),
        ("leave holes", "gridding", "2 2 2", "columns seen of the field"),
        ("leave holes", "gridding", "2 2 2", "paths are the products of an axis's"),
        ("paths meet unevenly", "checkerboard", "window 3 stride 2", "most / fewest paths"),
        ("depends on its phase", "nets", "U-Net same 2x2", "output: pixels by phases"),
        ("as wide as the root", "paths", "20 layers", "variance of the paths"),
        ("as wide as the root", "effective", "uniform 5 layers", "width in pixels"),
        ("where the first rate is 1", "hybrid", "27 triples", claims.FIRST_RATE_1),
    ],
)
def test_a_wrong_number_contradicts_the_claims_about_it(claim, study_name, case, quantity):
    def row(holds):
        return study.compare(study_name, case, quantity, 3, 3 if holds else 4)

    others = [study.compare("effective", "dilated 5 layers", "width in pixels", 4, 4)]
    assert one([row(True), *others], claim).verdict == "agrees"
    assert one([row(False), *others], claim).verdict == "disagrees"
    # No other claim is touched, but for that about all nets.
    touched = [v.claim for v in judged([row(False), *others]).values() if v.verdict != "agrees"]
    about_nets = {"nets": 1 if "phases" in quantity or "AlexNet" in case else 2}
    assert len(touched) == about_nets.get(study_name, 1)


def test_the_effective_field_is_judged_over_the_fewest_seeds():
    widths = [
        {**study.compare("effective", kind, "width in pixels", 2.0, width, holds=True), "seeds": n}
        for kind, width, n in (("uniform", 1.9, 16), ("dilated", 2.04, 64))
    ]
    verdict = one(widths, "as wide as the root")
    assert (verdict.seeds, verdict.measured) == (
        16,
        "2 of 2 numbers are as expected; widths within 5.0%",
    )
    assert "within 14%" in verdict.theory
    exact = [study.compare("paths", "20 layers", "variance of the paths", 1, 1)]
    assert one([*exact, *widths], "as wide as the root").seeds == 16
    assert claims.effective_seeds(exact) == 0


def test_the_rule_of_hybrid_dilation_is_contradicted_and_sharpened():
    rows = study.hybrid(PRESETS["quick"])
    rule = one(rows, "only there")
    assert rule.verdict == "disagrees"
    assert rule.measured == (
        "124 of 729 triples pass with holes, 38 of 729 triples fail without a hole"
    )
    assert one(rows, "first rate is 1").verdict == "agrees"
    assert len(judged(rows)) == 2
    # At rates where the number of wrong triples is not known, the rule is not judged.
    assert len(judged(rows[:1])) == 1


@pytest.mark.parametrize(
    ("counts", "word"), [((0, 0), "agrees"), ((1, 0), "disagrees"), ((0, 1), "disagrees")]
)
def test_the_rule_is_right_where_it_is_never_wrong(counts, word):
    rows = [
        study.compare("hybrid", "8 triples", quantity, 0, count)
        for quantity, count in zip(claims.WRONG, counts, strict=True)
    ]
    rule = one(rows, "only there")
    assert rule.verdict == word
    assert ("not as counted before" in rule.measured) is (sum(counts) > 0)


def tool_rows(net, exact, **answers):
    answers = {"google-research": "3", "Fangyh09": "0", "fornaxai": "0", **answers}
    return [study.compare("tools", net, tool, exact, text) for tool, text in answers.items()]


def test_a_tool_that_is_always_right_contradicts():
    rows = tool_rows("a", "3")
    verdict = one(rows, "No one of three tools")
    assert (verdict.verdict, verdict.seeds) == ("disagrees", 0)
    assert "google-research: 1 of 1 right, Fangyh09: 0 of 1 right" in verdict.measured
    assert one([*rows, *tool_rows("b", "5")], "No one of three tools").verdict == "agrees"


def test_tables_hold_every_number_and_the_last_layer_of_growth():
    rows = [
        RIGHT,
        study.compare("growth", "plain", "5 layers: pixels", 11, 11),
        study.compare("nets", "AlexNet", "pool5: pixels", 195, 196),
        *tool_rows("a", "3"),
    ]
    tables = {table.title.split(":")[0]: table for table in claims.tables(rows)}
    assert [row[1] for row in tables["Growth with depth"].rows] == ["5 layers: pixels"]
    assert tables["Fields of standard nets"].rows == (
        ("AlexNet", "pool5: pixels", "195", "196", "differs", ""),
    )
    assert tables["Fields of standard nets"].title.endswith("(0 of 1 as expected)")
    # Where all is as expected there is no column of fifty times "yes".
    assert "differs" not in tables["Growth with depth"].columns
    assert tables["Growth with depth"].title.endswith("(1 of 1 as expected)")
    tools = tables[
        "Fields by the rules that other tools document (computed here; the tools were not run)"
    ]
    assert tools.columns[1:] == ("exact", "google-research", "Fangyh09", "fornaxai")
    assert tools.rows == (("a", "3", "3", "0", "0"),)
    phases = tables["Phases of a U-Net"].rows
    assert [(row[0], row[2], row[3]) for row in phases] == [
        ("2 × 2", "3", "5.5"),
        ("4 × 4", "3", "4.5"),
    ]
    assert phases[0][1].split(", ").count("188") == 4
    assert len(tables) == len(claims.QUESTIONS) + 2
