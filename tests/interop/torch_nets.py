"""Dilated encoders with torchvision's heads, written in PyTorch as references."""

from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """A residual block whose only strided or dilated convolutions are 3x3."""

    def __init__(self, inputs, inner, bottleneck, stride, first, dilation):
        super().__init__()
        features = 4 * inner if bottleneck else inner
        at_first = {"stride": stride, "padding": first, "dilation": first, "bias": False}
        if bottleneck:
            self.conv1 = nn.Conv2d(inputs, inner, 1, bias=False)
            self.conv2 = nn.Conv2d(inner, inner, 3, **at_first)
            self.conv3 = nn.Conv2d(inner, features, 1, bias=False)
            widths = (inner, inner, features)
        else:
            self.conv1 = nn.Conv2d(inputs, inner, 3, **at_first)
            self.conv2 = nn.Conv2d(inner, inner, 3, padding=dilation, dilation=dilation, bias=False)
            widths = (inner, inner)
        for number, width in enumerate(widths, start=1):
            self.add_module(f"bn{number}", nn.BatchNorm2d(width))
        self.count = len(widths)
        self.downsample = None
        if stride > 1 or inputs != features:
            conv = nn.Conv2d(inputs, features, 1, stride=stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(features))

    def forward(self, x):
        y = x
        for number in range(1, self.count + 1):
            y = getattr(self, f"bn{number}")(getattr(self, f"conv{number}")(y))
            y = y if number == self.count else y.relu()
        return (y + (x if self.downsample is None else self.downsample(x))).relu()


class Trunk(nn.Module):
    """The encoder; `plan` has (stride, first dilation, dilation) of each stage."""

    def __init__(self, size, plan):
        super().__init__()
        self.conv1 = nn.Conv2d(3, size.width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(size.width)
        inputs = size.width
        for number, (count, (stride, first, dilation)) in enumerate(
            zip(size.blocks, plan, strict=True), start=1
        ):
            inner, blocks = size.width * 2 ** (number - 1), []
            for place in range(count):
                options = (stride, first) if place == 0 else (1, dilation)
                blocks.append(Block(inputs, inner, size.bottleneck, *options, dilation))
                inputs = 4 * inner if size.bottleneck else inner
            self.add_module(f"layer{number}", nn.Sequential(*blocks))

    def forward(self, x):
        x = F.max_pool2d(self.bn1(self.conv1(x)).relu(), 3, stride=2, padding=1)
        third = self.layer3(self.layer2(self.layer1(x)))
        return third, self.layer4(third)


class Squeeze(nn.Module):
    def __init__(self, features, squeezed):
        super().__init__()
        self.fc1 = nn.Conv2d(features, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, features, 1)

    def forward(self, x):
        means = x.mean(dim=(2, 3), keepdim=True)
        return x * F.hardsigmoid(self.fc2(F.relu(self.fc1(means))))


class Inverted(nn.Module):
    """`block` is one of our size's; `squeezed` the channels within squeeze-and-excitation."""

    def __init__(self, inputs, block, stride, dilation, residual, squeezed):
        super().__init__()
        inner = block.expanded
        act = nn.Hardswish() if block.activation == "hard_swish" else nn.ReLU()
        parts = [mobile_unit(inputs, inner, 1, act)] if inner != inputs else []
        parts += [mobile_unit(inner, inner, block.window, act, stride, dilation, inner)]
        parts += [Squeeze(inner, squeezed)] if block.squeeze else []
        parts += [mobile_unit(inner, block.features, 1, nn.Identity())]
        self.block, self.residual = nn.Sequential(*parts), residual

    def forward(self, x):
        return x + self.block(x) if self.residual else self.block(x)


class MobileTrunk(nn.Sequential):
    """The encoder; its last stage dilates instead of striding if `dilation` is above 1."""

    def __init__(self, size, squeezed, dilation):
        parts, starts = [mobile_unit(3, size.stem, 3, nn.Hardswish(), stride=2)], []
        inputs = size.stem
        for number, blocks in enumerate(size.stages):
            rate = dilation if number == 4 else 1
            starts.append(len(parts))
            for place, block in enumerate(blocks):
                strides = place == 0 and number > 0
                stride = 2 if strides and rate == 1 else 1
                residual = not strides and inputs == block.features
                inner = squeezed.get(block.expanded)
                parts.append(Inverted(inputs, block, stride, rate, residual, inner))
                inputs = block.features
        super().__init__(*parts, mobile_unit(inputs, size.last, 1, nn.Hardswish()))
        self.low = starts[2]

    def forward(self, x):
        features = []
        for part in self:
            x = part(x)
            features.append(x)
        return features[self.low], x


def mobile_unit(inputs, features, window, activation, stride=1, dilation=1, groups=1):
    padding = dilation * (window - 1) // 2
    options = {"padding": padding, "dilation": dilation, "groups": groups, "bias": False}
    conv = nn.Conv2d(inputs, features, window, stride=stride, **options)
    return nn.Sequential(conv, nn.BatchNorm2d(features, eps=1e-3, momentum=0.01), activation)


class LightHead(nn.Module):
    """Lite reduced pyramid: (features at stride 8, last features) -> logits at stride 8."""

    def __init__(self, low, high, features, classes):
        super().__init__()
        self.cbr = unit(high, features, 1)
        conv = nn.Conv2d(high, features, 1, bias=False)
        self.scale = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv, nn.Sigmoid())
        self.low_classifier = nn.Conv2d(low, classes, 1)
        self.high_classifier = nn.Conv2d(features, classes, 1)

    def forward(self, low, high):
        x = self.cbr(high) * self.scale(high)
        x = F.interpolate(x, size=low.shape[2:], mode="bilinear", align_corners=False)
        return self.low_classifier(low) + self.high_classifier(x)


class LightNet(nn.Module):
    """Encoder and light head -> logits at the images' size, in a tuple."""

    def __init__(self, backbone, classifier):
        super().__init__()
        self.backbone, self.classifier = backbone, classifier

    def forward(self, x):
        logits = self.classifier(*self.backbone(x))
        return (F.interpolate(logits, size=x.shape[2:], mode="bilinear", align_corners=False),)


def fcn_head(inputs, classes):
    conv = nn.Conv2d(inputs, inputs // 4, 3, padding=1, bias=False)
    norm = nn.BatchNorm2d(inputs // 4)
    return nn.Sequential(conv, norm, nn.ReLU(), nn.Dropout(0.0), nn.Conv2d(inputs // 4, classes, 1))


class Pooled(nn.Sequential):
    def __init__(self, inputs, features):
        conv = nn.Conv2d(inputs, features, 1, bias=False)
        super().__init__(nn.AdaptiveAvgPool2d(1), conv, nn.BatchNorm2d(features), nn.ReLU())

    def forward(self, x):
        return F.interpolate(super().forward(x), size=x.shape[2:], mode="bilinear")


class Pyramid(nn.Module):
    def __init__(self, inputs, features, rates):
        super().__init__()
        branches = [unit(inputs, features, 1)]
        branches += [unit(inputs, features, 3, rate) for rate in rates]
        self.convs = nn.ModuleList([*branches, Pooled(inputs, features)])
        self.project = unit((2 + len(rates)) * features, features, 1)

    def forward(self, x):
        import torch

        return self.project(torch.cat([branch(x) for branch in self.convs], dim=1))


def unit(inputs, features, window, dilation=1):
    padding = dilation * (window - 1) // 2
    conv = nn.Conv2d(inputs, features, window, padding=padding, dilation=dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(features), nn.ReLU())


def deeplab_head(inputs, features, classes, rates):
    return nn.Sequential(
        Pyramid(inputs, features, rates),
        *unit(features, features, 3),
        nn.Conv2d(features, classes, 1),
    )


class Net(nn.Module):
    """Encoder, head, auxiliary head -> both logits at the images' size."""

    def __init__(self, backbone, classifier, aux_classifier):
        super().__init__()
        self.backbone, self.classifier = backbone, classifier
        self.aux_classifier = aux_classifier

    def forward(self, x):
        third, fourth = self.backbone(x)
        return tuple(
            F.interpolate(head(features), size=x.shape[2:], mode="bilinear", align_corners=False)
            for head, features in ((self.classifier, fourth), (self.aux_classifier, third))
        )
