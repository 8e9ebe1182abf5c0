"""ImageNet's usual layouts: the training folder, the tar of tars, the flat validation folder and its lists."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from raysel.errors import RayselError
from raysel.images import open_source, read_labels, slices
from tests.images.samples import contents, encoded, list_of, picture, write_files, write_tar
from tests.object_store import ObjectStore

CLASSES = ("n01440764", "n01443537", "n02099601")
TRAIN = {
    f"{wnid}/{wnid}_{10_000 + n}.JPEG": encoded(picture(30 + n, 20, 7 * c + n), "JPEG")
    for c, wnid in enumerate(CLASSES)
    for n in range(4)
}


def tar_bytes(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def inner_tars() -> dict[str, bytes]:
    return {
        f"{wnid}.tar": tar_bytes({name.split("/")[1]: data for name, data in TRAIN.items() if wnid in name})
        for wnid in CLASSES
    }


@pytest.fixture
def tar_of_tars(tmp_path: Path) -> Path:
    return write_tar(tmp_path / "imagenet/ILSVRC2012_img_train.tar", inner_tars().items())


def test_training_folder(tmp_path: Path) -> None:
    source = open_source(str(write_files(tmp_path / "train", TRAIN)))
    images = list_of(source)
    assert contents(source, images) == TRAIN
    assert images.images["label"].to_pylist() == [name.split("/")[0] for name in sorted(TRAIN)]


def test_tar_of_tars(tar_of_tars: Path) -> None:
    source = open_source(str(tar_of_tars))
    images = list_of(source)
    assert contents(source, images) == {name.removesuffix(".JPEG"): data for name, data in TRAIN.items()}
    assert images.images["label"].to_pylist() == [name.split("/")[0] for name in sorted(TRAIN)]
    whole = tar_of_tars.read_bytes()
    for row in images.images.to_pylist():  # offsets lead into the outer tar
        assert whole[row["offset"] :][: row["length"]] == TRAIN[f"{row['key']}.JPEG"]


def test_tar_of_tars_is_cut_into_slices(tar_of_tars: Path) -> None:
    images = list_of(open_source(str(tar_of_tars)))
    cut = slices(images, 5, seed=0)
    assert len(cut) == 3
    assert sorted(np.concatenate([each.ids for each in cut]).tolist()) == list(range(12))


def test_tar_of_tars_in_a_bucket(s3: ObjectStore, tar_of_tars: Path) -> None:
    source = open_source(s3.upload(tar_of_tars.parent, "imagenet"))
    images = list_of(source)
    assert images.images.equals(list_of(open_source(str(tar_of_tars))).images)
    assert contents(source, images) == {name.removesuffix(".JPEG"): data for name, data in TRAIN.items()}


def test_labels_inside_precede_the_inner_tars_name(tmp_path: Path) -> None:
    inner = tar_bytes({"1.cls": b"7", "1.jpg": TRAIN[next(iter(TRAIN))], "2.jpg": b"x"})
    outer = write_tar(tmp_path / "a.tar", [("0.jpg", b"y"), ("sub/inner.tar", inner), ("readme.md", b"")])
    images = list_of(open_source(str(outer)))
    assert images.images["key"].to_pylist() == ["0", "sub/inner/1", "sub/inner/2"]
    assert images.images["label"].to_pylist() == [None, "7", "inner"]
    assert images.skipped == 1


def test_a_broken_inner_tar_is_named(tmp_path: Path) -> None:
    tars = inner_tars()
    tars["n01443537.tar"] = tars["n01443537.tar"][:1500]
    path = write_tar(tmp_path / "train.tar", tars.items())
    with pytest.raises(RayselError, match=r"shard train\.tar \(n01443537\.tar\) .*truncated.*members were read"):
        list_of(open_source(str(path)))


@pytest.fixture
def validation(tmp_path: Path) -> Path:
    names = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in range(1, 7)]
    files = {name: encoded(picture(20, 20, number), "JPEG") for number, name in enumerate(names)}
    return write_files(tmp_path / "val", files)


WNIDS = ["n01751748", "n09193705", "n02105855", "n04263257", "n03125729", "n01735189"]
NUMBERS = [490, 361, 171, 822, 297, 482]  # the first lines of the devkit's ground truth, for these wnids
DEVKIT = "ILSVRC2012_ID,WNID\n" + "\n".join(f"{number},{wnid}" for number, wnid in zip(NUMBERS, WNIDS, strict=True))


def labels_of(validation: Path, table: Path, mapping: str | None = None) -> list[str | None]:
    images = list_of(open_source(str(validation)))
    return images.with_labels(read_labels(str(table), None, "label", mapping)).images["label"].to_pylist()


def test_validation_with_the_devkits_numbers(validation: Path, tmp_path: Path) -> None:
    truth = tmp_path / "ILSVRC2012_validation_ground_truth.txt"
    truth.write_text("".join(f"{number}\n" for number in NUMBERS))
    (tmp_path / "synsets.csv").write_text(DEVKIT)
    assert labels_of(validation, truth, str(tmp_path / "synsets.csv")) == WNIDS
    with pytest.raises(RayselError, match="class numbers of the ILSVRC 2012 devkit, which has its own order"):
        labels_of(validation, truth)
    (tmp_path / "synsets.csv").write_text("ILSVRC2012_ID,WNID\n490,n01751748\n")
    with pytest.raises(RayselError, match="label '361' is not in the label map, which has 1"):
        labels_of(validation, truth, str(tmp_path / "synsets.csv"))


def test_validation_with_the_devkits_own_table(validation: Path, tmp_path: Path) -> None:
    synsets = np.zeros(6, dtype=[("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O")])
    for row, pair in enumerate(zip(NUMBERS, WNIDS, strict=True)):
        synsets[row] = (*pair, "words")
    savemat(tmp_path / "meta.mat", {"synsets": synsets.reshape(-1, 1)})
    truth = tmp_path / "ground_truth.txt"
    truth.write_text("\n".join(str(number) for number in NUMBERS))
    assert labels_of(validation, truth, str(tmp_path / "meta.mat")) == WNIDS
    savemat(tmp_path / "other.mat", {"x": 1})
    with pytest.raises(RayselError, match=r"other\.mat is not a meta\.mat of the ILSVRC 2012 devkit"):
        labels_of(validation, truth, str(tmp_path / "other.mat"))


def test_validation_with_wnids_or_names_in_a_list(validation: Path, tmp_path: Path) -> None:
    (tmp_path / "wnids.txt").write_text("\n".join(WNIDS))
    assert labels_of(validation, tmp_path / "wnids.txt") == WNIDS
    lines = [f"ILSVRC2012_val_{number:08d}.JPEG {label}" for number, label in ((5, 818), (1, 65))]
    (tmp_path / "val.txt").write_text("\n".join(lines))
    assert labels_of(validation, tmp_path / "val.txt") == ["65", None, None, None, "818", None]


def test_fewer_images_than_lines(validation: Path, tmp_path: Path) -> None:
    (validation / "ILSVRC2012_val_00000002.JPEG").unlink()
    (tmp_path / "wnids.txt").write_text("\n".join(WNIDS))
    assert labels_of(validation, tmp_path / "wnids.txt") == [WNIDS[0], *WNIDS[2:]]


@pytest.mark.parametrize("text", ["", "a b c\n", "a\nb c\n"])
def test_a_file_that_is_not_a_list(validation: Path, tmp_path: Path, text: str) -> None:
    (tmp_path / "list.txt").write_text(text)
    with pytest.raises(RayselError, match="is not a list of labels"):
        labels_of(validation, tmp_path / "list.txt")


def test_an_image_twice_in_a_list(validation: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.jpg 1\nb.jpg 2\na.jpg 3\n")
    with pytest.raises(RayselError, match="images with several labels in"):
        labels_of(validation, tmp_path / "list.txt")


def test_a_line_that_is_there_twice(validation: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a.jpg 1\nb.jpg 2\na.jpg 1\n")
    assert read_labels(str(tmp_path / "list.txt"), None, "label").to_pydict() == {
        "key": ["a.jpg", "b.jpg"],
        "label": ["1", "2"],
    }


def test_label_map_of_a_table(validation: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.csv").write_text("key,label\nILSVRC2012_val_00000001,1\nILSVRC2012_val_00000002,\n")
    (tmp_path / "map.json").write_text('{"1": "cat"}')
    assert labels_of(validation, tmp_path / "labels.csv", str(tmp_path / "map.json"))[:2] == ["cat", None]
    (tmp_path / "map.json").write_text("[1]")
    with pytest.raises(RayselError, match=r"map\.json is not a label map"):
        labels_of(validation, tmp_path / "labels.csv", str(tmp_path / "map.json"))
