"""Every study keeps one contract. Studies are found by their folders and run at `tiny`."""

import dataclasses
import importlib
import re
import shutil
from pathlib import Path

import docstring_parser
import jax
import pytest
from jax.experimental.compilation_cache import compilation_cache
from text_layout import unreadable
from tiny_studies import NAMES, ROOT, Study, assert_close, assert_same, copy_first_seed, tables

from jaxseg.plots import PAGE
from jaxseg.studies import Findings, StudyConfig, Sweep, read_findings
from jaxseg.studies._command import WRITTEN
from jaxseg.training import records

ROOMS = {"config", "nets", "probes", "study", "claims", "figures"}
ORDER = "beyond the seeds' range"
"""The words by which a verdict of `studies.order` is known."""


@pytest.fixture(scope="module", autouse=True)
def compile_once(tmp_path_factory):
    """Let XLA's programs be compiled once: a study that goes on needs those it began with."""
    if jax.config.jax_compilation_cache_dir:
        yield
        return
    options = {
        "jax_compilation_cache_dir": str(tmp_path_factory.mktemp("programs")),
        "jax_persistent_cache_min_compile_time_secs": 0,
        "jax_persistent_cache_min_entry_size_bytes": -1,
        "jax_disable_most_optimizations": True,
    }
    before = {name: jax.config.values[name] for name in options}
    configure(options)
    yield
    configure(before)


def configure(options):
    compilation_cache.reset_cache()
    for name, value in options.items():
        jax.config.update(name, value)


@pytest.fixture(scope="module", params=NAMES)
def study(request, tmp_path_factory):
    return Study(request.param, tmp_path_factory.mktemp(request.param))


@pytest.fixture(scope="module")
def undisturbed(study):
    """The folder of an undisturbed run, and the figures that it drew: file name -> figure."""
    drawings = {}
    write = Findings.write

    def keep_and_write(findings, folder):
        drawings.update(findings.drawings)
        return write(findings, folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Findings, "write", keep_and_write)
        study.run(study.folder / "tiny")
    return study.folder / "tiny", drawings


@pytest.fixture(scope="module")
def tiny(undisturbed):
    """The folder of an undisturbed run; tests that change it work on a copy."""
    return undisturbed[0]


def test_studies_are_found():
    assert {"depth_scaling", "dilation", "long_skips"} <= {*NAMES}


def test_a_study_is_at_most_seven_rooms(study):
    files = {path.stem for path in (ROOT / "experiments" / study.name).glob("*.py")}
    assert {"__init__", "__main__", "config", "study"} <= files
    rooms = files - {"__init__", "__main__"}
    assert rooms <= ROOMS
    assert len(rooms) <= 5
    package = importlib.import_module(f"experiments.{study.name}")
    assert len(package.__doc__.strip().splitlines()) == 1


def test_its_main_program_names_its_commands(study):
    main = study.module("__main__")  # it runs nothing when it is imported
    assert f"\n    python -m experiments.{study.name}" in main.__doc__
    for preset in re.findall(r"--preset (\w+)", main.__doc__):
        assert preset in study.presets
    for option in re.findall(r"--([a-z][\w-]*)", main.__doc__):
        assert hasattr(study.tiny, option.replace("-", "_")), option
    source = Path(main.__file__).read_text()
    assert 'if __name__ == "__main__":\n    launch_study(__package__ or "", __doc__)' in source


def described(config) -> set[str]:
    """The fields that the docstrings of a configuration's classes describe."""
    return {
        parameter.arg_name
        for kind in type(config).__mro__
        for parameter in docstring_parser.parse(kind.__doc__ or "").params
        if (parameter.description or "").strip()
    }


def test_its_configuration_is_described(study):
    assert {"tiny", "quick"} <= {*study.presets}
    for config in study.presets.values():
        assert isinstance(config, StudyConfig)
        assert type(config) is study.module("config").Config
        assert config.out == Path("runs") / study.name
        pending = [config]
        while pending:
            part = pending.pop()
            fields = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
            assert {*fields} - described(part) == set()
            pending += [value for value in fields.values() if dataclasses.is_dataclass(value)]
    names = {field.name for field in dataclasses.fields(study.tiny)}
    assert {*study.tiny.may_differ} <= names
    growing = {"seeds", "learning_rates", "arms"} & names
    assert growing <= {*study.tiny.may_differ}, "seeds, rates and arms may be added"


def test_resume_excludes_overwrite(study):
    with pytest.raises(ValueError, match="resume and overwrite exclude each other"):
        dataclasses.replace(study.tiny, resume=True, overwrite=True)


def test_a_run_leaves_its_findings(study, tiny):
    findings = read_findings(tiny)
    assert findings.study == study.name
    assert findings.title
    assert findings.about
    assert findings.verdicts
    assert findings.preset == "tiny"
    assert findings.versions == records.versions()
    assert findings.command == f"python -m experiments.{study.name}"
    assert findings.figures
    for name, caption in findings.figures.items():
        assert (tiny / name).stat().st_size > 1000
        assert caption.strip()
    for table in findings.tables:
        assert table.title
        assert table.rows
        assert {len(row) for row in table.rows} == {len(table.columns)}
    assert (tiny / "summary.md").read_text(encoding="utf-8") == findings.markdown()
    assert tables(tiny)["results.csv"]


def test_verdicts_say_all_that_the_page_shows(study, tiny):
    claims = [verdict.claim for verdict in read_findings(tiny).verdicts]
    assert len({*claims}) == len(claims)
    for verdict in read_findings(tiny).verdicts:
        texts = (verdict.heading, verdict.claim, verdict.source, verdict.theory, verdict.measured)
        assert all(text.strip() for text in texts)
        assert verdict.verdict in ("agrees", "disagrees", "not shown")


def test_its_figures_fit_a_page_and_can_be_read(undisturbed):
    _, drawings = undisturbed
    assert drawings
    wide = {name: figure.get_figwidth() for name, figure in drawings.items()}
    assert {name for name, width in wide.items() if width > PAGE + 1e-9} == set()
    found = {name: unreadable(figure) for name, figure in drawings.items()}
    assert {name: faults for name, faults in found.items() if faults} == {}


ASCII_MATHEMATICS = (
    r"\bsqrt\b|\bsum\b [dk(]|\^(?!\{)|<=|>=|\+-|\bpi\b|\bkappa|\bsigma\b|\b\d+x\d+\b|\be-\d"
)
PROGRAMS_NAME = r"\b[a-z]+_[a-z0-9]+"


def test_people_read_names_sentences_and_mathematics(tiny):
    """No arm is called plain_norm, no power 2^-L, and no caption like its file."""
    findings = read_findings(tiny)
    texts = [findings.title, findings.about, *findings.figures.values()]
    for verdict in findings.verdicts:
        texts += [verdict.claim, verdict.source, verdict.theory, verdict.measured]
    for table in findings.tables:
        texts += [table.title, *table.columns, *(cell for row in table.rows for cell in row)]
    for text in texts:
        plain = re.sub("`[^`]*`", "", text)  # code is code
        assert not re.search(PROGRAMS_NAME, plain), text
        assert not re.search(ASCII_MATHEMATICS, plain), text
        assert not re.search(r"\bnan\b|\binf\b", plain), text
    for caption in findings.figures.values():
        assert re.fullmatch(r"[A-Z].{30,}\.", caption), caption


def test_most_claims_have_a_figure(tiny):
    findings = read_findings(tiny)
    shown = [verdict.figure for verdict in findings.verdicts if verdict.figure]
    assert {*shown} <= {*findings.figures}
    assert len(shown) >= 0.75 * len(findings.verdicts)


LEARNS_NOTHING = {
    "depth_scaling": 0,
    "dilation": 3,
    "landscape": 1,
    "long_skips": 0,
    "output_stride": 0,
    "upconvolution": 14,
}
"""Study -> claims at most that a tiny run can speak to: they ask for no net that has learned."""


def test_nets_that_learned_nothing_show_nothing(study, tiny):
    """A tiny run trains for a few steps: whatever order its nets have is one of chance."""
    if study.name not in LEARNS_NOTHING:
        pytest.skip("it trains nothing, or for long enough")
    words = [verdict.verdict for verdict in read_findings(tiny).verdicts]
    assert len(words) - words.count("not shown") <= LEARNS_NOTHING[study.name]


def test_nothing_else_is_left(study, tiny):
    known = {path for pattern in WRITTEN for path in tiny.glob(pattern)}
    known |= {tiny / "config.json", tiny / ".lock"}
    # A run of `jaxseg train` has a folder of its own inside a study's.
    known |= {path for run in tiny.glob("*/config.json") for path in run.parent.rglob("*")}
    assert {path for path in tiny.rglob("*") if path.is_file()} - known == set()
    assert {path.name for path in tiny.glob("*.png")} == {*read_findings(tiny).figures}


def test_killed_and_resumed_is_as_if_undisturbed(study, tiny):
    out = study.folder / "killed"
    stop = study.stop(out, table="", written=False)
    assert str(out) in stop.advice
    assert "--resume" in stop.advice
    assert not any(tables(out).values())
    assert study.stop(out, "--resume", table="", written=True)
    assert any(tables(out).values())
    # A study of a single table and a single part is finished here.
    stop = study.stop(out, "--resume", table="results.csv", written=True)
    assert (read_findings(out) is None) == (stop is not None)
    study.run(out, "--resume")
    assert_same(out, tiny)


def test_a_finished_study_that_is_resumed_stays_as_it_is(study, tiny, tmp_path):
    out = Path(shutil.copytree(tiny, tmp_path / "copy"))
    study.run(out, "--resume")
    assert tables(out) == tables(tiny)
    assert_same(out, tiny)


def test_results_are_neither_overwritten_nor_shared(study, tiny, tmp_path):
    before = {path: path.read_bytes() for path in tiny.rglob("*") if path.is_file()}
    with pytest.raises(ValueError, match="holds results of an earlier run: go on with --resume"):
        study.run(tiny)
    with (
        records.only_run(tiny),
        pytest.raises(ValueError, match=f"^{re.escape(str(tiny))} is being written") as caught,
    ):
        study.run(tiny, "--resume")
    assert "\n" not in str(caught.value)
    assert {path: path.read_bytes() for path in tiny.rglob("*") if path.is_file()} == before


def has_seeds(study) -> bool:
    return hasattr(study.tiny, "seeds")


def test_one_seed_shows_no_order(study, tiny, tmp_path, monkeypatch):
    if not has_seeds(study):
        pytest.skip("this study draws nothing")
    if "seed" in tables(tiny)["results.csv"][0]:
        copy_first_seed(tiny, tmp_path / "out", best_rates=True)
        monkeypatch.setattr(Sweep, "train", lambda *args, **options: None)
        findings = study.run(tmp_path / "out", "--resume", "--seeds", "1")
    else:
        try:
            dataclasses.replace(study.tiny, seeds=1)
        except ValueError:
            pytest.skip("this study refuses to measure one seed")
        findings = study.run(tmp_path / "out", "--seeds", "1")
    orders = [verdict for verdict in findings.verdicts if ORDER in verdict.theory]
    assert {verdict.verdict for verdict in orders} <= {"not shown"}


def test_seeds_can_be_added(study, tiny, tmp_path):
    """Old rows stay as they are; new ones are those of a study that had the seeds from the start.

    As many are added as `tiny` has, so that nothing new is compiled to train them.
    """
    if not has_seeds(study):
        pytest.skip("this study draws nothing")
    expected, out = tables(tiny)["results.csv"], tmp_path / "out"
    by_seed = "seed" in expected[0]
    if by_seed:
        copy_first_seed(tiny, out)
    else:
        shutil.copytree(tiny, out)
    old = tables(out)["results.csv"]
    more = study.tiny.seeds + 1
    fields = [field.name for field in dataclasses.fields(study.tiny)]
    flags = [
        f"--{name.replace('_', '-')}" for name in fields if re.fullmatch(r"(\w+_)?seeds", name)
    ]
    findings = study.run(out, "--resume", *(word for flag in flags for word in (flag, str(more))))
    if by_seed:
        new = tables(out)["results.csv"]
        assert [row for row in new if row["seed"] == "0"] == old
        assert {int(row["seed"]) for row in new} == {*range(more)}
        again = [row for row in new if int(row["seed"]) < study.tiny.seeds]
        for row, before in zip(again, expected, strict=True):
            assert_close(row, before)
    counts = {verdict.claim: verdict.seeds for verdict in findings.verdicts}
    verdicts = read_findings(tiny).verdicts
    counted = [verdict.claim for verdict in verdicts if verdict.seeds == study.tiny.seeds]
    assert counted
    assert {counts[claim] for claim in counted} == {more}
