"""Every file of a folder is looked at, and what is wrong with each is noted."""

import numpy as np
from PIL import Image

from jaxseg.data.folders import folder_scan
from jaxseg.data.images.image_files import FilePair


def test_masks_are_found_by_their_folders_and_names(tmp_path):
    for file in ("gt/a.png", "b_mask.png", "b.png", ".hidden/masks/c.png", "masks/._d.png"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    (tmp_path / "masks" / "notes.txt").touch()
    found = [path.relative_to(tmp_path).as_posix() for path in folder_scan.find_masks(tmp_path)]
    assert sorted(found) == ["b_mask.png", "gt/a.png"]
    assert folder_scan.list_contents(tmp_path) == {
        ".": {".png": 2},
        "gt": {".png": 1},
        "masks": {".txt": 1},
    }


def test_a_bad_file_does_not_hide_the_others(tmp_path):
    pairs = []
    for number in range(3):
        pair = FilePair(tmp_path / f"{number}.png", tmp_path / f"{number}_mask.png")
        Image.new("RGB", (4, 4), (7, 7, 7)).save(pair.image)
        Image.fromarray(np.eye(4, dtype=np.uint8)).save(pair.mask)
        pairs.append(pair)
    pairs[0].mask.write_bytes(b"nothing")
    pairs[1].image.write_bytes(b"nothing")
    scan = folder_scan.scan_pairs(tmp_path, {"train": pairs[:2], "test": pairs[2:]})
    assert [("0_mask.png" in text, "1.png" in text) for text in scan.problems] == [
        (True, False),
        (False, True),
    ]
    assert scan.masks.masks == 2
    assert scan.masks.by_number()[1].pixels == 8
    scan = folder_scan.scan_masks(tmp_path, [pair.mask for pair in pairs])
    assert (scan.masks.masks, len(scan.problems)) == (2, 1)
