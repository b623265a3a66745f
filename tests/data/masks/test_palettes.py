from jaxseg.data.masks import palettes


def test_palettes():
    many = palettes.distinct(200)
    assert len(set(many)) == 200
    assert many[:3] == palettes.distinct(3)
    assert palettes.BACKGROUND not in many
    # The published colors of VOC's aeroplane, bird, chair, person, potted plant and tv/monitor.
    voc = palettes.voc_colormap(21)
    assert [voc[label] for label in (0, 1, 3, 9, 15, 16, 20)] == [
        (0, 0, 0),
        (128, 0, 0),
        (128, 128, 0),
        (192, 0, 0),
        (192, 128, 128),
        (0, 64, 0),
        (0, 64, 128),
    ]
