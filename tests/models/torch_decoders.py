"""LinkNet, ERFNet and FC-DenseNet written out in PyTorch, as their authors' code has them."""

import torch
from torch import nn
from torch.nn import functional


def conv_norm(inputs, features, window, *, eps=1e-5):
    padding = (window - 1) // 2
    conv = nn.Conv2d(inputs, features, window, padding=padding, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(features, eps), nn.ReLU())


class LinkDecoder(nn.Module):
    def __init__(self, inputs, features, stride):
        super().__init__()
        inner = inputs // 4
        self.reduce = conv_norm(inputs, inner, 1)
        self.up = nn.ConvTranspose2d(inner, inner, 3, stride, 1, stride - 1, bias=False)
        self.norm = nn.BatchNorm2d(inner)
        self.expand = conv_norm(inner, features, 1)

    def forward(self, x):
        return self.expand(torch.relu(self.norm(self.up(self.reduce(x)))))


class LinkHead(nn.Module):
    """The decoders and the head, on the features of four stages."""

    def __init__(self, widths, classes):
        super().__init__()
        above = (*widths[-2::-1], widths[0])
        steps = zip(widths[::-1], above, (2, 2, 2, 1), strict=True)
        self.decoders = nn.ModuleList(LinkDecoder(*step) for step in steps)
        self.first = nn.ConvTranspose2d(widths[0], 32, 3, 2, bias=False)
        self.first_norm = nn.BatchNorm2d(32)
        self.second = conv_norm(32, 32, 3)
        self.last = nn.ConvTranspose2d(32, classes, 2, 2)

    def forward(self, features):
        x, skips = features[-1], [*features[-2::-1], None]
        for decoder, skip in zip(self.decoders, skips, strict=True):
            x = decoder(x) if skip is None else decoder(x) + skip
        x = self.first(x)[..., :-1, :-1]
        return self.last(self.second(torch.relu(self.first_norm(x))))


class Down(nn.Module):
    def __init__(self, inputs, features):
        super().__init__()
        self.conv = nn.Conv2d(inputs, features - inputs, 3, 2, 1)
        self.norm = nn.BatchNorm2d(features, 1e-3)

    def forward(self, x):
        x = torch.cat([self.conv(x), functional.max_pool2d(x, 2, 2)], 1)
        return torch.relu(self.norm(x))


class Up(nn.Module):
    def __init__(self, inputs, features):
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, features, 3, 2, 1, 1)
        self.norm = nn.BatchNorm2d(features, 1e-3)

    def forward(self, x):
        return torch.relu(self.norm(self.conv(x)))


class Block1D(nn.Module):
    def __init__(self, c, d):
        super().__init__()
        self.a = nn.Conv2d(c, c, (3, 1), padding=(1, 0))
        self.b = nn.Conv2d(c, c, (1, 3), padding=(0, 1))
        self.n = nn.BatchNorm2d(c, 1e-3)
        self.c = nn.Conv2d(c, c, (3, 1), padding=(d, 0), dilation=(d, 1))
        self.d = nn.Conv2d(c, c, (1, 3), padding=(0, d), dilation=(1, d))
        self.m = nn.BatchNorm2d(c, 1e-3)

    def forward(self, x):
        y = torch.relu(self.n(self.b(torch.relu(self.a(x)))))
        return torch.relu(self.m(self.d(torch.relu(self.c(y)))) + x)


class ERFNet(nn.Module):
    def __init__(self, classes, widths):
        super().__init__()
        a, b, c = widths
        self.encoder = nn.Sequential(
            *(Down(3, a), Down(a, b)),
            *(Block1D(b, 1) for _ in range(5)),
            Down(b, c),
            *(Block1D(c, d) for d in (2, 4, 8, 16) * 2),
            *(Up(c, b), Block1D(b, 1), Block1D(b, 1)),
            *(Up(b, a), Block1D(a, 1), Block1D(a, 1)),
        )
        self.last = nn.ConvTranspose2d(a, classes, 2, 2)

    def forward(self, x):
        return self.last(self.encoder(x))


def dense_unit(inputs, features, window=3):
    conv = nn.Conv2d(inputs, features, window, padding=window // 2)
    return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), conv)


class Tiramisu(nn.Module):
    def __init__(self, classes, layers, growth, stem):
        super().__init__()
        self.stem = nn.Conv2d(3, stem, 3, padding=1)
        width, skips = stem, []
        self.down, self.transitions = nn.ModuleList(), nn.ModuleList()
        for count in layers[:-1]:
            self.down.append(self.block(width, growth, count))
            width += growth * count
            skips.append(width)
            self.transitions.append(dense_unit(width, width, 1))
        self.lowest = self.block(width, growth, layers[-1])
        self.ups, self.up = nn.ModuleList(), nn.ModuleList()
        new = growth * layers[-1]
        for count, skip in zip(layers[-2::-1], skips[::-1], strict=True):
            self.ups.append(nn.ConvTranspose2d(new, new, 3, 2))
            self.up.append(self.block(skip + new, growth, count))
            width, new = skip + new + growth * count, growth * count
        self.last = nn.Conv2d(width, classes, 1)

    @staticmethod
    def block(width, growth, count):
        return nn.ModuleList(dense_unit(width + growth * n, growth) for n in range(count))

    @staticmethod
    def run(block, x):
        new = []
        for layer in block:
            new.append(layer(x))
            x = torch.cat([x, new[-1]], 1)
        return x, torch.cat(new, 1)

    def forward(self, x):
        x, skips = self.stem(x), []
        for block, transition in zip(self.down, self.transitions, strict=True):
            x, _ = self.run(block, x)
            skips.append(x)
            x = functional.max_pool2d(transition(x), 2)
        x, new = self.run(self.lowest, x)
        for up, block, skip in zip(self.ups, self.up, skips[::-1], strict=True):
            raised = up(new)[..., : skip.shape[2], : skip.shape[3]]
            x, new = self.run(block, torch.cat([skip, raised], 1))
        return self.last(x)
