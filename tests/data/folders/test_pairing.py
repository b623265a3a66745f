"""Files are listed without what is hidden, and paired by name or refused."""

import pytest

from jaxseg.data.folders import pairing
from jaxseg.data.images.image_files import FilePair


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    return folder


def test_files_are_listed_in_order_without_hidden_ones_folders_and_others(tmp_path):
    touch(tmp_path, "b.PNG", "a.png", "._a.png", ".c.png", "d.jpg", "e.png/f.png", "g.txt")
    names = [path.name for path in pairing.list_files(tmp_path, (".png",), "a hint")]
    assert names == ["a.png", "b.PNG"]
    names = [path.name for path in pairing.list_files(tmp_path, (".png",), "", pattern="*/*.png")]
    assert names == ["f.png"]
    with pytest.raises(ValueError, match=r"holds no file of \.tif, \.bmp; complete it: a hint"):
        pairing.list_files(tmp_path, (".tif", ".bmp"), "a hint")
    with pytest.raises(ValueError, match=r"the folder '.*nowhere' is missing; complete it: a hint"):
        pairing.list_files(tmp_path / "nowhere", (".png",), "a hint")


def test_links_to_folders_are_followed_once(tmp_path):
    root = touch(tmp_path / "a", "b/c.png", "d.png")
    touch(tmp_path / "e", "f.png")
    (root / "g").symlink_to(tmp_path / "e")
    (root / "b" / "up").symlink_to(root)
    (root / "h.png").symlink_to(tmp_path / "nowhere.png")
    files = [path.relative_to(root).as_posix() for path in pairing.walk_files(root)]
    assert files == ["b/c.png", "d.png", "g/f.png", "h.png"]
    listed = pairing.list_files(root, (".png",), "", pattern="**/*")
    assert listed == [root / "b" / "c.png", root / "d.png", root / "g" / "f.png"]


def test_a_folder_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(tmp_path), "iterdir", refuse)
    assert list(pairing.walk_files(tmp_path)) == []
    with pytest.raises(ValueError, match=r"cannot be read \(Permission denied\).*permissions"):
        pairing.list_files(tmp_path, (".png",), "", pattern="**/*")


def test_pairs_have_the_order_of_the_images(tmp_path):
    images = [tmp_path / "images" / f"{stem}.jpg" for stem in ("b", "a")]
    masks = [tmp_path / "masks" / f"{stem}_mask.png" for stem in ("a", "b")]
    pairs = pairing.pair_files(
        images, masks, mask_key=lambda path: pairing.without_suffix(path.stem)
    )
    assert pairs == [FilePair(images[0], masks[1]), FilePair(images[1], masks[0])]
    with pytest.raises(
        ValueError, match=r"mask of the image '.*b\.jpg' is missing, .* in '.*masks"
    ):
        pairing.pair_files(images, masks)
    with pytest.raises(ValueError, match=r"image of the mask '.*b_mask\.png' is missing"):
        pairing.pair_files(images[1:], masks, mask_key=lambda path: path.stem[0])
    with pytest.raises(
        ValueError, match=r"c\.png' is a second file of the stem 'c' beside '.*c\.jpg"
    ):
        pairing.pair_files([tmp_path / "c.jpg", tmp_path / "c.png"], [])


@pytest.mark.parametrize(
    ("stem", "bare"),
    [
        ("a_mask", "a"),
        ("a-Labels", "a"),
        ("a_GT", "a"),
        ("a_seg", "a"),
        ("a_annotation", "a"),
        ("a_b", "a_b"),
        ("mask", "mask"),
        ("a_mask_2", "a_mask_2"),
    ],
)
def test_the_ending_of_a_mask(stem, bare):
    assert pairing.without_suffix(stem) == bare


def test_what_is_held_out_depends_on_names_and_seed_and_keeps_the_order(tmp_path):
    pairs = [FilePair(tmp_path / f"{n}.jpg", tmp_path / f"{n}.png") for n in range(20)]
    remaining, held_out = pairing.hold_out(pairs, 5, seed=1)
    assert (len(remaining), len(held_out)) == (15, 5)
    assert sorted(remaining + held_out, key=pairs.index) == pairs
    assert [sorted(part, key=pairs.index) for part in (remaining, held_out)] == [
        remaining,
        held_out,
    ]
    moved = [FilePair(tmp_path / "x" / pair.image.name, pair.mask) for pair in reversed(pairs)]
    _, again = pairing.hold_out(moved, 5, seed=1)
    assert {p.image.stem for p in again} == {p.image.stem for p in held_out}
    assert pairing.hold_out(pairs, 5, seed=2)[1] != held_out
