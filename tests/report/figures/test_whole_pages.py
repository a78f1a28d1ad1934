import torch

from zoo.report.figures.style import DPI
from zoo.report.figures.whole_pages import pages


def test_pages_are_drawn_pixel_by_pixel_under_their_names_with_a_detail_each():
    columns = {"corrupted": torch.rand(3, 90, 60), "true": torch.ones(1, 90, 60)}
    figure = pages(columns, (10, 5), "A page", "two ways")
    sheet, *boxes = figure.axes
    assert {"A page", "two ways", "corrupted", "true"} <= {text.get_text() for text in sheet.texts}
    assert len(boxes) == 4
    width, height = figure.get_size_inches()
    for box, page in zip(boxes[::2], columns.values(), strict=True):
        assert round(box.get_position().width * width * DPI) == 60
        assert round(box.get_position().height * height * DPI) == 90
        assert torch.equal(torch.from_numpy(box.images[0].get_array().data), page.expand(3, -1, -1).permute(1, 2, 0))
    detail = torch.from_numpy(boxes[1].images[0].get_array().data)
    assert torch.equal(detail, columns["corrupted"][:, 10:18, 5:25].permute(1, 2, 0))
