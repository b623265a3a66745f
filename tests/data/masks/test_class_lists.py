"""What lists of classes say, in every way of writing them."""

import os
import subprocess
import sys

import pytest

from jaxseg.data.masks import class_lists

COLORS = ((1, 2, 3), (4, 5, 6))


def read(folder, text, encoding="utf-8"):
    path = folder / "classes.txt"
    path.write_bytes(text.encode(encoding))
    return class_lists.read_classes(path)


def test_a_list_of_classes_in_every_way_of_writing_it(tmp_path):
    listed = read(tmp_path, "# road, soil\n1, 2, 3: wet road\n\nsoil 4;5;6\nIgnored 9 9 9\n")
    assert listed.names == ("wet road", "soil")
    assert (listed.palette, listed.ignored) == (COLORS, ((9, 9, 9),))
    assert (listed.values, listed.ignored_values) == (None, ())
    assert read(tmp_path, "wet road #010203\nsoil = 4 5 6\n").palette == COLORS
    assert read(tmp_path, "class 3 1 2 3\nclass 4 4 5 6\n").names == ("class 3", "class 4")


@pytest.mark.parametrize(
    "text",
    [
        "a 1 2 3  # brick\nb 4 5 6 #\n",
        "a (1, 2, 3)\nb (4 5 6)\n",
        "a: rgb(1,2,3)\nrgb(4,5,6): b\n",
        "a [1 2 3]\n[4, 5, 6] b\n",
        "a 0x010203\nb: 0X040506\n",
        "a 1;2;3;\nb 4;5;6;\n",
        "# label:color_rgb:parts:actions\na:1,2,3::\nb:4,5,6::\n",
        "#010203 a\n#040506, b\n# 010203 c\n",
    ],
)
def test_other_ways_of_writing_colors(tmp_path, text):
    listed = read(tmp_path, text)
    assert (listed.names, listed.palette, listed.values) == (("a", "b"), COLORS, None)


def test_short_hexadecimal_colors(tmp_path):
    assert read(tmp_path, "a #F00\n#fff b\n").palette == ((255, 0, 0), (255, 255, 255))


@pytest.mark.parametrize("line", ["{}: {}", "{}\t{}", "{},{}", "{};{}", "{} :{}", "{} = {} # why"])
def test_other_ways_of_writing_values(tmp_path, line):
    text = "\n".join(line.format(*pair) for pair in (("a", 2), ("b c", 1), ("ignored", 9)))
    listed = read(tmp_path, text)
    assert (listed.names, listed.values) == (("a", "b c"), ((2,), (1,)))
    assert (listed.palette, listed.ignored_values) == (None, (9,))


def test_values_behind_a_colon_may_be_several(tmp_path):
    assert read(tmp_path, "a: 3, 7\nb: 4-5\n").values == ((3, 7), (4, 5))


def test_the_first_line_of_labelme_is_no_class(tmp_path):
    listed = read(tmp_path, "__ignore__\n_background_\ncat\n")
    assert (listed.names, listed.ignored_values) == (("_background_", "cat"), (255,))


def test_names_with_numbers_and_marks_stay_names(tmp_path):
    names = ("class 7", "site-3", "road, wet", "a:b", "c/d (e)", "crop (2020)", "U.S.", "it's")
    assert read(tmp_path, "\n".join(names)).names == names
    assert read(tmp_path, "no 0 0 0\nclass 1 0 0 255\n").names == ("no", "class 1")
    assert read(tmp_path, "lane 1 0 0 255\nlane 2 0 0 9\n").names == ("lane 1", "lane 2")


@pytest.mark.parametrize("count", [1, 2, 254, 255])
def test_two_to_254_classes(tmp_path, count):
    text = "\n".join(f"class {number}" for number in range(count))
    if 2 <= count <= 254:
        assert len(read(tmp_path, text).names) == count
    else:
        with pytest.raises(ValueError, match=rf"lists {count} classes, expected 2 to 254"):
            read(tmp_path, text)


def test_lines_give_values(tmp_path):
    listed = read(tmp_path, "wet road = 7\nsoil=0, 3, 128-131\nignored 255\nignored = -1, 5..6\n")
    assert listed.names == ("wet road", "soil")
    assert listed.values == ((7,), (0, 3, 128, 129, 130, 131))
    assert listed.ignored_values == (255, -1, 5, 6)
    listed = read(tmp_path, "wet road 1 2 3 = 40000\n4 5 6 soil = 0-32767\nignored 9 9 9\n")
    assert (listed.palette, listed.ignored) == (COLORS, ((9, 9, 9),))
    assert listed.values == ((40000,), tuple(range(32768)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb\n", r"gives a value for some classes and none for 'b'"),
        ("a = 1\nb = 2, 1\n", r"gives the value 1 more than once"),
        ("a = 1\nb = 2\nignored 2\n", r"gives the value 2 more than once"),
        ("a = 5-2\nb = 1\n", r"the line 'a = 5-2' .* has the range '5-2', expected one that asc"),
        ("a = 0-99999\nb = -1\n", r"has the range '0-99999', .* at most 65536"),
        ("a = x\nb = 1\n", r"the line 'a = x' of .*classes\.txt' cannot be read, expected"),
        ("a = 1.5\nb = 1\n", r"the line 'a = 1\.5' of .* cannot be read"),
        ("= 3\nb = 1\n", r"the line '= 3' of .* cannot be read"),
        ("0 70 130 180 sky\n1 0 0 0 b\n", r"the line '0 70 130 180 sky' of .* cannot be read"),
        ("0 sky 70 130 180\n1 b 0 0 0\n", r"the line '0 sky 70 130 180' of .* cannot be read"),
        ("2 grass\n1 sky\n", r"every line .* such as '2 grass'.*`grass = 2`"),
        ("2 -> grass\n1 -> sky\n", r"every line .* such as '2 -> grass'.*`grass = 2`"),
        ("0: grass\n1: sky\n", r"every line .* begins with a number"),
        ("0\tgrass\n1\tsky\n", r"every line .* begins with a number"),
        ("soil\nignored\nroad\n", r"the line 'ignored' .* does not say which pixels are ignored"),
        ("a\n__ignore__\nb\n", r"the line '__ignore__' .* does not say which pixels"),
        ("a 1.0 0.0 0.0\nb 0.0 1.0 0.0\n", r"the line 'a 1\.0 0\.0 0\.0' of .* cannot be read"),
        ("a 255 0 0 255\nb 0 255 0 255\n", r"line 'a 255 0 0 255' .* may be an opacity"),
        ("a 255 0\nb\n", r"the line 'a 255 0' of .* cannot be read"),
        ("a 1,255,0,0\nb,2,0,255,0\n", r"the line 'b,2,0,255,0' of .* cannot be read"),
        ("a: 1.5\nb: 2\n", r"the line 'a: 1\.5' of .* cannot be read"),
        ("a #f0\nb #f1\n", r"the line 'a #f0' of .* cannot be read"),
        ("a (1, 2)\nb\n", r"the line 'a \(1, 2\)' of .* cannot be read"),
        ("2 -> a\nb\n", r"the line '2 -> a' of .* cannot be read"),
        ('{\n"a": 2,\n}\n', r"the line '{' of .* cannot be read"),
        ("a:1,2,3:left\nb:4,5,6:right\n", r"the line 'a:1,2,3:left' of .* cannot be read"),
        ("#add more\na\nb\n", r"the line '#add more' of .* may be a comment or begin with a color"),
        ("name,id\na,2\nb,1\n", r"gives a value for some classes and none for 'name,id'"),
        ("a\na\n", r"lists \['a'\] more than once.*`name = 3, 7`"),
    ],
)
def test_lines_that_cannot_be_understood_are_named(tmp_path, text, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read(tmp_path, text)


def test_numbers_in_names_are_names_where_values_are_given(tmp_path):
    assert read(tmp_path, "2 grass = 5\n1 sky = 4\n").names == ("2 grass", "1 sky")
    assert read(tmp_path, "2 wheels\ncar\n").names == ("2 wheels", "car")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
def test_utf_8_with_or_without_a_mark(tmp_path, encoding, ending):
    listed = read(tmp_path, f"Himmel{ending}Gr\u00fcn{ending}", encoding)
    assert listed.names == ("Himmel", "Gr\u00fcn")


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16", "utf-16-le", "utf-32"])
def test_other_encodings_are_refused_by_file(tmp_path, encoding):
    with pytest.raises(ValueError, match=r"classes\.txt' is not UTF-8 text .*save it again"):
        read(tmp_path, "Himmel\nGr\u00fcn\n", encoding)


def test_the_locale_does_not_matter(tmp_path):
    read(tmp_path, "Himmel\nGr\u00fcn\n")
    code = (
        "import pathlib, sys; from jaxseg.data.masks import class_lists;"
        "print(ascii(class_lists.read_classes(pathlib.Path(sys.argv[1])).names))"
    )
    for changes in ({"LC_ALL": "C"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}):
        result = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / "classes.txt")],
            env=os.environ | {"PYTHONCOERCECLOCALE": "0"} | changes,
            capture_output=True,
            text=True,
        )
        assert result.stdout.strip() == r"('Himmel', 'Gr\xfcn')", result.stderr
