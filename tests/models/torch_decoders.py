"""Decoders and nets written out in PyTorch, as their authors' code has them."""

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


class Pyramid(nn.Module):
    def __init__(self, inputs, features, bins=(1, 2, 3, 6)):
        super().__init__()
        self.bins = bins
        self.reduce = nn.ModuleList(conv_norm(inputs, features, 1) for _ in bins)

    def forward(self, x):
        parts = [x]
        for count, reduce in zip(self.bins, self.reduce, strict=True):
            pooled = reduce(functional.adaptive_avg_pool2d(x, count))
            parts.append(resized(pooled, x))
        return torch.cat(parts, 1)


def resized(x, like, mode="bilinear"):
    return functional.interpolate(x, like.shape[2:], mode=mode)


class PSPHead(nn.Module):
    def __init__(self, widths, classes, features):
        super().__init__()
        self.pyramid = Pyramid(widths[-1], widths[-1] // 4)
        self.project = conv_norm(2 * widths[-1], features, 3)
        self.last = nn.Conv2d(features, classes, 1)

    def forward(self, features):
        return self.last(self.project(self.pyramid(features[-1])))


class FPNHead(nn.Module):
    def __init__(self, widths, classes, features):
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(w, features, 1) for w in widths)
        self.smooth = nn.ModuleList(nn.Conv2d(features, features, 3, padding=1) for _ in widths)
        self.branches = nn.ModuleList(
            nn.ModuleList(conv_norm(features, features, 3) for _ in range(max(1, level)))
            for level in range(4)
        )
        self.last = nn.Conv2d(features, classes, 1)

    def forward(self, features):
        levels = [lateral(x) for lateral, x in zip(self.lateral, features, strict=True)]
        for n in (2, 1, 0):
            levels[n] = levels[n] + resized(levels[n + 1], levels[n], "nearest")
        total = 0
        for n, branch in enumerate(self.branches):
            x = self.smooth[n](levels[n])
            for unit in branch:
                x = unit(x)
                x = functional.interpolate(x, scale_factor=2, mode="bilinear") if n else x
            total = total + x
        return self.last(total)


class UPerHead(nn.Module):
    def __init__(self, widths, classes, features):
        super().__init__()
        self.pyramid = Pyramid(widths[-1], features)
        self.top = conv_norm(widths[-1] + 4 * features, features, 3)
        self.lateral = nn.ModuleList(conv_norm(w, features, 1) for w in widths[:-1])
        self.smooth = nn.ModuleList(conv_norm(features, features, 3) for _ in widths[:-1])
        self.fuse = conv_norm(4 * features, features, 3)
        self.last = nn.Conv2d(features, classes, 1)

    def forward(self, features):
        levels = [unit(x) for unit, x in zip(self.lateral, features, strict=False)]
        levels.append(self.top(self.pyramid(features[-1])))
        for n in (2, 1, 0):
            levels[n] = levels[n] + resized(levels[n + 1], levels[n])
        levels[:3] = [unit(x) for unit, x in zip(self.smooth, levels, strict=False)]
        return self.last(self.fuse(torch.cat([resized(x, levels[0]) for x in levels], 1)))


def double(inputs, features):
    return nn.Sequential(conv_norm(inputs, features, 3), conv_norm(features, features, 3))


class NestedUNet(nn.Module):
    def __init__(self, classes, widths, ends):
        super().__init__()
        levels, self.ends = len(widths), ends
        inputs = zip((3, *widths), widths, strict=False)
        self.down = nn.ModuleList(double(*pair) for pair in inputs)
        self.nodes = nn.ModuleList(
            nn.ModuleList(double((j + 1) * widths[i], widths[i]) for j in range(1, levels - i))
            for i in range(levels - 1)
        )
        self.ups = nn.ModuleList(
            nn.ModuleList(
                nn.ConvTranspose2d(widths[i + 1], widths[i], 2, 2) for _ in range(1, levels - i)
            )
            for i in range(levels - 1)
        )
        self.last = nn.ModuleList(nn.Conv2d(widths[0], classes, 1) for _ in range(ends))

    def forward(self, x):
        found = {}
        for i, block in enumerate(self.down):
            x = found[i, 0] = block(functional.max_pool2d(x, 2) if i else x)
        for j in range(1, len(self.down)):
            for i in range(len(self.down) - j):
                raised = self.ups[i][j - 1](found[i + 1, j - 1])
                before = [found[i, n] for n in range(j)]
                found[i, j] = self.nodes[i][j - 1](torch.cat([*before, raised], 1))
        nodes = [found[0, j] for j in range(len(self.down))][-self.ends :]
        return sum(last(x) for last, x in zip(self.last, nodes, strict=True)) / self.ends
