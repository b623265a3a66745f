"""Images that are in no pair are named, and those of runs and predictions are not."""

import json

import numpy as np
import pytest
from PIL import Image

from jaxseg.data.folders import unused_files
from jaxseg.data.folders.layouts import find_pairs

NAMES = [f"{kind}/{n}.png" for kind in ("images", "masks") for n in range(5)]


def write(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("")
    return root


def unused(root):
    pairs = find_pairs(root, held_out=None, seed=None)
    return pairs, [
        path.relative_to(root).as_posix() for path in unused_files.unused_files(root, pairs)
    ]


@pytest.mark.parametrize(
    "others",
    [
        ["test/images/t.png", "test/masks/t.png"],
        ["flat.JPG", "flat_mask.PNG"],
        ["site/images/a.pgm", "site/mask_png/a.ppm"],
        ["photo.heic"],
        [],
    ],
)
def test_images_beside_the_pairs_are_listed(tmp_path, others):
    write(tmp_path, *NAMES, *others, ".hidden/a.png", "__MACOSX/a.png", "notes.txt")
    assert unused(tmp_path)[1] == others


def test_pairs_behind_links_are_used_and_broken_links_are_named(tmp_path):
    root = write(tmp_path / "data", *NAMES)
    write(tmp_path / "elsewhere", "i/a.png", "m/a.png", "more.png")
    (root / "images" / "site").symlink_to(tmp_path / "elsewhere" / "i")
    (root / "masks" / "site").symlink_to(tmp_path / "elsewhere" / "m")
    (root / "images" / "loop").symlink_to(root / "images")
    (root / "zoo").symlink_to(root / "images")
    (root / "more.png").symlink_to(tmp_path / "elsewhere" / "more.png")
    for name in ("images/b.png", "masks/b.png", "lost"):
        (root / name).symlink_to(tmp_path / "nowhere")
    pairs, others = unused(root)
    assert sum(map(len, pairs.values())) == 6
    assert others == ["images/b.png", "lost", "masks/b.png", "more.png"]


def test_what_the_commands_wrote_is_not_named(tmp_path):
    write(tmp_path, *NAMES, "runs/a/curves.png", "runs/a/deep/b.png", "out/0.png", "scenes.png")
    write(tmp_path, "own.png")
    (tmp_path / "runs" / "a" / ".jaxseg").write_text(json.dumps({"files": ["curves.png"]}))
    line = json.dumps({"file": "scenes.png", "sha256": ""})
    (tmp_path / "out" / ".jaxseg.jsonl").write_text(line)
    run = json.dumps({"files": ["scenes.png"]}, indent=1)
    for name, text in ((".jaxseg.jsonl", f"{line}\n{line}\n"), (".jaxseg", run)):
        (tmp_path / name).write_text(text)
        assert unused(tmp_path)[1] == ["own.png"]
        (tmp_path / name).unlink()


def test_the_remark_shows_some_of_every_folder(tmp_path):
    files = [tmp_path / name for name in ("a/1.png", "a/2.png", "b/1.png", "c/1.png", "d/1.png")]
    write(tmp_path, "a/1.png", "b/1.png")
    assert unused_files.describe_unused(tmp_path, []) == ""
    assert unused_files.describe_unused(tmp_path, files[:1]) == (
        "1 image file is in no pair and not used: 'a/1.png'"
    )
    assert unused_files.describe_unused(tmp_path, files) == (
        "5 image files are in no pair and not used: 'a/1.png', 'b/1.png', "
        "'c/1.png' (a broken link) and 2 more"
    )


def test_netpbm_files_are_pairs(tmp_path):
    for n, (image, mask) in enumerate([("ppm", "pgm"), ("pnm", "png"), ("png", "pnm")]):
        for kind, suffix, channels in (("images", image, (3,)), ("masks", mask, ())):
            (tmp_path / kind).mkdir(exist_ok=True)
            path = tmp_path / kind / f"{n}.{suffix}"
            Image.fromarray(np.zeros((4, 4, *channels), np.uint8)).save(path)
    pairs, others = unused(tmp_path)
    assert (sum(map(len, pairs.values())), others) == (3, [])
