"""AdvNoise's search against the public code of advchain and of MaxStyle's script.

The numbers were written down from a run of the public steps, retyped elsewhere, in
float64 on the images, the linear
network and the first direction below: `AdvNoise` with `power_iteration`, and
`ComposeAdversarialTransformSolver.rescale_intensity` with `if_norm_image`, which the script sets
(`cherise215/advchain`, 0aa6afc and 089ef38; `cherise215/MaxStyle`, 1bf62b2).
"""

from __future__ import annotations

import dataclasses

import pytest
import torch

from desam_model.comparisons.advnoise import AdvNoise
from desam_model.comparisons.image.harness import unified_harness
from desam_model.networks.base import Features, SegmentationNetwork
from desam_model.networks.fcn16 import FCN16
from sweeper.config.trial import TrialConfig
from sweeper.factory import Sizes, build_method

ROW, COLUMN = torch.meshgrid(torch.arange(5.0), torch.arange(4.0), indexing="ij")

RESCALED = """
-0.182111154 -0.086806883  0.534919796 -0.090378106 -0.079371382 -0.059351589 -0.060287607
-0.177285503 -0.057126436 -0.106647543 -0.204933264 -0.315118743  0.194368890  0.052546488
-0.105525296 -0.243543691  0.414456342  0.390119607  0.170530821  0.011545254

 0.248408397 -0.057621838 -0.063964698 -0.075973380 -0.063286802 -0.173950554 -0.307733396
-0.212679542 -0.046977854 -0.161772441 -0.077848632 -0.183639527  0.133453591  0.041401531
-0.077639815 -0.078767217  0.104297592  0.138183391  0.140728224  0.775382970
"""

NOT_RESCALED = """
-0.227724131 -0.111301700 -0.100938208 -0.114174234 -0.102028456 -0.077005907 -0.078214494
-0.222184813 -0.071669936 -0.135072266 -0.255338613 -0.385238853  0.241132163  0.065599260
-0.130815507 -0.298573196  0.520612439  0.342897275  0.214914004  0.014410652

-0.061463407 -0.090153290 -0.101751743 -0.127165660 -0.100203665 -0.288840081 -0.535223267
-0.360196663 -0.080323881 -0.280859024 -0.124388267 -0.306202052  0.239334683  0.072148260
-0.133689670 -0.127799341  0.190508243  0.250342928  0.247818329  0.016073319
"""

ADVERSARIAL = """
 0.383359540  0.651382228  1.000000000  0.729480612  0.704502830  0.790140228  0.697767599
 0.436264982  0.781618839  0.627620818  0.353941376  0.085910051  0.674489236  0.375607458
 0.114417639  0.000000000  0.438744828  0.258231871  0.163293719  0.253777415

 1.000000000  0.880276503  0.877795083  0.873097111  0.878060286  0.404911580  0.000000000
 0.278415741  0.884440585  0.057102057  0.812794442  0.315015216  0.955028001  0.377815967
 0.356483851  0.860599693  0.943621748  0.897309324  0.501207281  0.436968820
"""


def table(text: str) -> torch.Tensor:
    return torch.tensor([float(number) for number in text.split()]).reshape(2, 1, 5, 4)


class Linear(SegmentationNetwork):
    """Each pixel's foreground logit is its value times 3 cos(0.7 row - 0.4 column)."""

    image_channels, stride, has_image_decoder, style_channels = 1, 1, False, ()

    def encode(self, image, after_stage=None):
        return Features(code=image, skips=(), image_hw=image.shape[-2:])

    def decode(self, features):
        foreground = 3 * (0.7 * ROW - 0.4 * COLUMN).cos() * features.code
        return (torch.cat([torch.zeros_like(foreground), foreground], dim=1),)

    def reconstruct(self, features, after_stage=None):
        raise ValueError


@pytest.fixture
def image() -> torch.Tensor:
    waves = [(0.9 * ROW + 0.7 * COLUMN).sin(), (1.3 * ROW * COLUMN + 0.4).cos()]
    return torch.stack([(w - w.min()) / (w.max() - w.min()) for w in waves])[:, None]


@pytest.fixture
def first_direction(monkeypatch: pytest.MonkeyPatch) -> None:
    """The search starts from sines instead of random noise."""
    sines = torch.stack([(2.0 * ROW + 3.1 * COLUMN + i).sin() for i in range(2)])[:, None]
    monkeypatch.setattr(
        "desam_model.comparisons.advnoise.draw_normal", lambda shape, like, generator: sines
    )


def make(network: SegmentationNetwork, **options) -> AdvNoise:
    harness = unified_harness(image_channels=1, width=1, stages=2)
    return AdvNoise(harness=dataclasses.replace(harness, network=network), **options)


def search(method: AdvNoise, image: torch.Tensor) -> torch.Tensor:
    target = method.network(image) + torch.tensor([0.0, 1.0])[:, None, None]
    return method.search(image, target, torch.Generator())


@pytest.mark.usefixtures("first_direction")
@pytest.mark.parametrize(("rescale", "expected"), [(True, RESCALED), (False, NOT_RESCALED)])
def test_the_direction_is_that_of_the_public_code(
    image: torch.Tensor, rescale: bool, expected: str
) -> None:
    method = make(Linear(), epsilon=0.5, xi=0.1, rescale_in_search=rescale)
    assert torch.allclose(search(method, image), table(expected), atol=1e-5)


@pytest.mark.usefixtures("first_direction")
def test_the_adversarial_image_is_that_of_the_public_code(image: torch.Tensor) -> None:
    method = make(Linear(), epsilon=0.5, xi=0.1, rescale_in_search=True)
    perturbed = method.perturb(image, search(method, image))
    assert torch.allclose(perturbed, table(ADVERSARIAL), atol=1e-5)


def test_the_official_profile_searches_as_released_and_the_unified_one_does_not() -> None:
    for profile, expected in (("official", True), ("unified", False)):
        method = {"name": "advnoise", "profile": profile}
        config = TrialConfig.model_validate({"source": "A", "method": method})
        built = build_method(config, Sizes(image_channels=1), seed=0)
        assert isinstance(built, AdvNoise)
        assert built.rescale_in_search is expected


def test_through_the_rescaling_two_pixels_get_nearly_all_noise() -> None:
    """Why the default does not follow: the search would not find a noise."""
    side = 96
    y, x = torch.meshgrid(*(torch.linspace(-1, 1, side),) * 2, indexing="ij")
    disc = (x.square() + y.square() < 0.25).float()
    noise = torch.rand(2, 1, side, side, generator=torch.Generator().manual_seed(0))
    image = 0.2 * noise + 0.3 * (x + 1) + 0.2 * disc
    low, high = image.amin(dim=(1, 2, 3), keepdim=True), image.amax(dim=(1, 2, 3), keepdim=True)
    image = (image - low) / (high - low)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = FCN16(image_channels=1)
    with torch.no_grad():
        target = network.train()(image)

    for rescale, is_expected in ((True, lambda share: share > 0.9), (False, lambda s: s < 0.1)):
        method = make(network, xi=0.1, rescale_in_search=rescale)
        direction = method.search(image, target, torch.Generator().manual_seed(0))
        share = direction.flatten(1).square().topk(2, dim=1).values.sum(dim=1)
        assert is_expected(share).all(), share
