"""Upconvolution: what it is, when it paints checkerboards, and whether training removes them.

Nets of one encoder differ by how they double height and width, twice, without a skip:

    upconv k2s2, k3s2, k4s2   input dilated, then convolved, at random (Dumoulin & Visin 2016)
    upconv bilinear           k4s2, from bilinear interpolation (Long et al. 2015, arXiv:1411.4038)
    sub-pixel, and with ICNR  2x2 convolution and pixel shuffle (Shi et al. 2016, arXiv:1609.05158),
                              begun as nearest neighbours (Aitken et al. 2017, arXiv:1707.02937)
    resize nearest, bilinear  then a 4x4 convolution (Odena et al. 2016, doi:10.23915/distill.00003)

All have the same weights, 16 a pair of channels, but for k2s2 (4) and k3s2 (9); a sub-pixel layer
has four times as many biases. Looked at are the algebra in float64; layers as they are drawn,
against theory; and the energy of checkerboards in logits and gradients
(`analysis.checkerboard_energy`) while nets learn the texture mosaic.

    python experiments/upconvolution.py --preset quick

It takes some three minutes on two cores, and leaves start.csv, energies.csv, results.csv,
pictures/, verdicts.csv, summary.md, algebra.png, overlap.png, start.png, checkerboard.png and
decoders.png in --out. A kill loses the arm in progress and no more: --resume goes on, with more
seeds or rates too.

Orders hold only where the seeds' ranges are apart (`orders`), and are asked at each arm's own best
rate. The summary has the energies at all rates, for what starts without a checkerboard gets one the
sooner the faster it is trained. Not looked at: decoders with skips, which hide much of this, and
images that are generated rather than labelled.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from studies import Table, run, write_summary
from study_arms import RESULTS, best_rates, how_compared
from upconvolution_algebra import OVERLAPS, exact_verdicts, overlap
from upconvolution_config import PRESETS, UPS, Config, Decoded
from upconvolution_figures import algebra_pictures, decoder_pictures
from upconvolution_start import START, start_rows
from upconvolution_tables import ENERGIES, arm_table, curves, rate_table, verdicts

from jaxseg import data, files, nn, plots
from jaxseg.analysis import checkerboard_energy
from jaxseg.losses import mean_cross_entropy
from jaxseg.metrics import mean_iou, pixel_accuracy
from jaxseg.training import (
    clip_by_norm,
    member_mesh,
    over_members,
    pad_members,
    records,
    use_all_cores,
)
from jaxseg.training.sweep import Ensemble, Member, evaluate_members, train_members

BORDER = 4
"""Pixels at each edge that are not looked at: zeros were seen beyond it."""
STRIDE = 2
"""Of the last level up, whose frequencies are looked at."""
SHOWN = 32
"""Validation images whose logits and gradients are looked at."""
CAPTIONS = {
    "algebra.png": "An upconvolution dilates its input and convolves; it is as well the pixel "
    "shuffle of one small convolution a phase",
    "overlap.png": "Taps that meet in each output pixel: unevenly where the stride does not divide "
    "the window",
    "start.png": "Layers as they are drawn, against theory",
    "checkerboard.png": "Energy at the stride's frequencies through training: means over seeds and "
    "their range",
    "decoders.png": "Logits of one validation image and spectra over all, of each arm's best run",
}
WRITTEN = ("*.csv", "summary.md", "*.png", "pictures/*.npy")


def main(config: Config) -> None:
    """Run what is not there yet, then write tables and figures."""
    use_all_cores(config.devices)
    records.open_run(
        config.out,
        config,
        results="results.csv",
        written=WRITTEN,
        may_differ=(
            "preset",
            "out",
            "data_dir",
            "devices",
            "resume",
            "overwrite",
            "arms",
            "seeds",
            "learning_rates",
        ),
        resume=config.resume,
        overwrite=config.overwrite,
    )
    study = Study(config)
    for arm in config.arms:
        study.run(arm)
    study.report()


class Study:
    """The runs of one configuration, and what is known of them so far."""

    def __init__(self, config: Config):
        self.config, self.out = config, config.out
        self.mesh = member_mesh(config.seeds * len(config.learning_rates))
        self.dataset = data.mosaic(
            size=config.size,
            cells=config.cells,
            scale=4,
            equal=False,
            gain=0.0,
            offset=0.0,
            data_dir=config.data_dir,
        )
        self.train = self.dataset.source("train", cache=True)
        self.validation = self.dataset.source("validation", cache=True)
        shown = next(data.padded_batches(self.validation, batch_size=SHOWN))
        self.shown = jax.device_get(self.dataset.info.normalize_batch(shown))
        self.start, self.results, self.energies = (
            Table(self.out / name, columns, resume=config.resume)
            for name, columns in (
                ("start.csv", START),
                ("results.csv", RESULTS),
                ("energies.csv", ENERGIES),
            )
        )
        if not self.start.rows:
            self.start.add(*start_rows(config))

    def run(self, arm: str) -> None:
        """Train and measure one arm; runs that are recorded already are left out."""
        wanted = itertools.product(range(self.config.seeds), self.config.learning_rates)
        members = [
            Member(seed, rate)
            for seed, rate in wanted
            if not self.results.has(arm=arm, seed=seed, learning_rate=rate)
        ]
        if not members:
            return
        init, apply = nn.functional(lambda rngs: self.net(arm, rngs))
        start, measure = self._drawn(init, members), self._measure(apply)
        looks: dict[int, Any] = {0: measure(*start, self.shown)}
        sweep = train_members(
            apply,
            start,
            self.optimizer,
            members,
            self._batches,
            steps=self.config.steps,
            mesh=self.mesh,
            name=f"{arm}, {len(members)} runs",
            transform=lambda _, batch: self.dataset.info.normalize_batch(batch),
            watch=lambda step, *at: looks.update({step: measure(*at, self.shown)}),
            watch_every=self.config.steps // self.config.looks,
        )
        rows = self._evaluate(arm, members, apply, sweep)
        self._keep(arm, members, rows, jax.device_get(looks))
        best = min(rows, key=lambda row: row["train_loss"])
        print(
            f"{arm:>16}: loss {best['train_loss']:.3f}, mean IoU {best['mean_iou']:.3f} at rate "
            f"{best['learning_rate']:g} (best of {len(rows)}; compiled in "
            f"{sweep.compile_seconds:.1f} s, {sweep.step_milliseconds:.1f} ms a step and run)"
        )

    def net(self, arm: str, rngs: nnx.Rngs) -> Decoded:
        """The net of one arm."""
        return Decoded(
            UPS[arm],
            classes=self.dataset.info.classes,
            inputs=self.dataset.info.channels,
            features=self.config.features,
            rngs=rngs,
        )

    def optimizer(self, learning_rate) -> optax.GradientTransformation:
        """Adam behind a clip of the gradient's norm; the rate falls to 0 over the second half."""
        half = self.config.steps // 2
        return optax.chain(
            clip_by_norm(1.0),
            optax.adam(learning_rate),
            optax.scale_by_schedule(
                optax.linear_schedule(1.0, 0.0, self.config.steps - half, half)
            ),
        )

    def report(self) -> None:
        """Write tables and figures of all that is known."""
        config, labels = self.config, self.label_energy()
        energies, results = self.energies.rows, self.results.rows
        title = (
            f"Mosaics of {config.size}x{config.size} pixels, {config.features} features, "
            f"{config.steps} steps of {config.batch_size} images"
        )
        chosen = best_rates(results, tuple(UPS))
        figures = {
            "algebra": plots.upconvolution(
                *algebra_pictures(), title="A 4x4 upconvolution of stride 2, in two ways"
            ),
            "overlap": plots.overlaps(
                {name: overlap(window) for name, (window, _) in OVERLAPS.items()},
                title="Taps that meet in each output pixel",
            ),
            "start": plots.drawn_checkerboards(self.start.rows, title="Layers as they are drawn"),
            "checkerboard": plots.checkerboards(
                curves(energies, chosen, "logits"),
                curves(energies, chosen, "gradient"),
                labels=labels,
                title=f"{title}, each arm at its own best rate",
            ),
            "decoders": decoder_pictures(
                self.out / "pictures", tuple(chosen), self.shown, self.dataset
            ),
        }
        for name, figure in figures.items():
            figure.savefig(self.out / f"{name}.png", dpi=150)
        text = write_summary(
            self.out,
            title="Upconvolution",
            about=f"{title}, {how_compared(results)}",
            verdicts=[*exact_verdicts(), *verdicts(self.start.rows, energies, results, labels)],
            figures=CAPTIONS,
            tables=[arm_table(energies, results, labels), rate_table(energies, labels)],
        )
        print(f"\n{text}\nFigures: {', '.join(f'{name}.png' for name in figures)} in {self.out}")

    def label_energy(self) -> float:
        """Energy of the labels themselves, one channel a class: what perfect logits would have."""
        labels = jax.nn.one_hot(jnp.asarray(self.shown["label"]), self.dataset.info.classes)
        return float(checkerboard_energy(_looked_at(labels), STRIDE))

    def _measure(self, apply) -> Callable[..., Any]:
        """Energies of every member's logits and gradient, and the logits themselves."""

        def one(params, stats, batch):
            def loss(images):
                logits, _ = apply(params, stats, images, train=False)
                return mean_cross_entropy(logits, batch["label"]), logits

            gradient, logits = jax.grad(loss, has_aux=True)(batch["image"])
            logits = _looked_at(logits)
            return {
                "logits": checkerboard_energy(logits, STRIDE),
                "gradient": checkerboard_energy(_cropped(gradient), STRIDE),
                "view": logits,
            }

        return over_members(one, self.mesh, in_axes=(0, 0, None), few_calls=True)

    def _drawn(self, init, members: list[Member]):
        """Parameters and statistics before training, of the members padded to the devices."""
        seeds = jnp.array([m.seed for m in pad_members(members, self.mesh)], jnp.uint32)
        draw = over_members(
            lambda seed: init(jax.random.key(seed)), self.mesh, in_axes=(0,), few_calls=True
        )
        return jax.device_get(draw(seeds))

    def _batches(self, seed: int):
        return data.batches(self.train, batch_size=self.config.batch_size, seed=seed)

    def _evaluate(self, arm: str, members, apply, sweep: Ensemble) -> list[dict[str, Any]]:
        confusion, _ = evaluate_members(
            apply,
            sweep,
            data.padded_batches(self.validation, batch_size=SHOWN),
            classes=self.dataset.info.classes,
            mesh=self.mesh,
            transform=lambda _, batch: self.dataset.info.normalize_batch(batch),
        )
        counts = jnp.asarray(confusion, jnp.int32)
        accuracy, iou = jax.device_get((pixel_accuracy(counts), mean_iou(counts)))
        parameters = sum(a[0].size for a in jax.tree.leaves(sweep.params))
        return [
            {
                "arm": arm,
                "seed": m.seed,
                "learning_rate": m.learning_rate,
                "train_loss": float(loss),
                "pixel_accuracy": float(accuracy[i]),
                "mean_iou": float(iou[i]),
                "parameters": parameters,
                "step_milliseconds": round(sweep.step_milliseconds, 3),
            }
            for i, (m, loss) in enumerate(zip(members, sweep.final_losses(), strict=True))
        ]

    def _keep(self, arm: str, members, rows, looks: dict[int, Any]) -> None:
        """Write what was found of an arm: pictures of its best run, energies, and results last.

        Pictures are logits at first and at last, (2, images, height, width, classes).
        """
        best = int(np.argmin([row["train_loss"] for row in rows]))
        before = [row["train_loss"] for row in self.results.rows if row["arm"] == arm]
        if rows[best]["train_loss"] <= min(before, default=np.inf):
            views = np.stack([looks[step]["view"][best] for step in (0, max(looks))])
            folder = self.out / "pictures"
            folder.mkdir(exist_ok=True)
            files.write_array(folder / f"{arm.replace(' ', '_')}.npy", views.astype(np.float32))
        # What a kill left of these runs is written anew.
        self.energies.rows = [
            row
            for row in self.energies.rows
            if row["arm"] != arm or Member(row["seed"], row["learning_rate"]) not in members
        ]
        self.energies.add(
            *(
                {
                    "arm": arm,
                    "seed": m.seed,
                    "learning_rate": m.learning_rate,
                    "step": step,
                    "logits": float(found["logits"][i]),
                    "gradient": float(found["gradient"][i]),
                }
                for step, found in looks.items()
                for i, m in enumerate(members)
            )
        )
        self.results.add(*rows)


def _cropped(x: jax.Array) -> jax.Array:
    return x[:, BORDER:-BORDER, BORDER:-BORDER]


def _looked_at(logits: jax.Array) -> jax.Array:
    """Without the border, and without what all classes share: it changes no probability."""
    return _cropped(logits - jnp.mean(logits, axis=-1, keepdims=True))


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line, run, and say what is wrong in one line where something is."""
    run(main, PRESETS, name="upconvolution", description=__doc__, args=args)


if __name__ == "__main__":
    command()
