"""Numbers of parameters are those of the published nets; none is allocated."""

import functools

import pytest
from flax import nnx
from small_nets import abstract, parameters

from jaxseg.models import FCN, LRASPP, DeepLabV3, DeepLabV3Plus, EncoderUNet, SkipFCN

# torchvision's, 21 classes: without and with the auxiliary head.
PUBLISHED = [
    (FCN, "resnet50", 32_957_013, 35_322_218),
    (FCN, "resnet101", 51_949_141, 54_314_346),
    (DeepLabV3, "resnet50", 39_638_869, 42_004_074),
    (DeepLabV3, "resnet101", 58_630_997, 60_996_202),
]


@functools.cache
def count(make, **options):
    return parameters(abstract(lambda: make(**{"classes": 21, **options}, rngs=nnx.Rngs(0))))


@pytest.mark.parametrize(("make", "backbone", "without", "auxiliary"), PUBLISHED)
def test_of_torchvision(make, backbone, without, auxiliary):
    assert count(make, backbone=backbone) == without
    assert count(make, backbone=backbone, auxiliary=True) == auxiliary


def test_of_torchvision_on_mobilenet():
    assert count(DeepLabV3, backbone="mobilenet_v3_large", auxiliary=True) == 11_029_328
    assert count(LRASPP) == 3_221_538


# segmentation_models.pytorch's, 1 class.
@pytest.mark.parametrize(
    ("backbone", "published"),
    [("resnet18", 14_328_209), ("resnet34", 24_436_369), ("resnet50", 32_521_105)],
)
def test_of_the_unet_of_smp(backbone, published):
    assert count(EncoderUNet, classes=1, backbone=backbone) == published


def test_of_the_decoder_of_deeplab_v3_plus():
    low = 256 * 48 + 2 * 48
    extra = low + 9 * (256 + 48) * 256 + 2 * 256  # a convolution more than v3 has
    assert count(DeepLabV3Plus) == count(DeepLabV3) + extra


@pytest.mark.parametrize(("finest", "stages"), [(32, 1), (16, 2), (8, 3)])
def test_of_upconvolved_scores(finest, stages):
    encoder = 23_508_032
    scores = sum(c * 21 + 21 for c in (2048, 1024, 512)[:stages])
    windows = [4] * (stages - 1) + [2 * finest]
    assert count(SkipFCN, finest=finest) == encoder + scores + sum(k * k * 441 for k in windows)
