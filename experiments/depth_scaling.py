"""How deep can a segmentation net be trained, plain and residual?

The lecture's question on real pixels. Nets of 3x3 convolutions at full resolution, equal in
parameters, data, optimiser and seeds, differ by their arm alone:

    plain            He-initialised ReLU convolutions in a chain
    plain_norm       the same with batch norm
    plain_isometric  tanh and delta-orthogonal kernels: the fair control (Xiao et al. 2018)
    residual         shortcuts around two convolutions, branches scaled by 1/sqrt(L)
    residual_norm    shortcuts and batch norm, unscaled (He et al. 2016)

Each arm is judged at its own best learning rate by its training loss: degradation is a failure to
fit, not to generalise (He et al. 2015). A *trainable depth* is one whose median loss over the
seeds is below half of chance, ln(classes) / 2.

    python experiments/depth_scaling.py --preset quick --out runs/demo
    python experiments/depth_scaling.py --preset quick --dataset camvid --size 60 80
    python experiments/depth_scaling.py --preset deepest --out runs/deepest
    python experiments/depth_scaling.py --preset full --resume

It leaves results.csv, gradients.csv, responses.csv, metrics.jsonl, summary.md, verdicts.csv and
three figures in --out. On two cores `quick` takes just under five minutes, `deepest` (1,026
convolutions) two to four, and `full` some three hours, a quarter of that to 256 convolutions
(--depths).

What is finished stays: a kill, even SIGKILL, loses the arm and depth in progress and no more, and
--resume goes on from there.
"""

import itertools
import math
import signal
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import optax
import studies
from depth_config import ARMS, PRESETS, Config
from depth_probes import gradient_norms, layer_responses
from depth_tables import (
    GRADIENTS,
    RESPONSES,
    RESULTS,
    Rows,
    curve_table,
    gradient_table,
    loss_table,
    response_table,
    summarise,
    theory,
)
from depth_verdicts import verdicts
from flax import nnx

from jaxseg import data, models, nn, plots
from jaxseg.metrics import mean_iou, pixel_accuracy
from jaxseg.training import (
    clip_by_norm,
    member_mesh,
    over_members,
    pad_members,
    records,
    use_all_cores,
)
from jaxseg.training.sweep import Member, Sweep, evaluate_members, train_members

MAY_DIFFER = (
    "preset",
    "out",
    "data_dir",
    "camvid_dir",
    "devices",
    "resume",
    "overwrite",
    "arms",
    "depths",
    "seeds",
    "learning_rates",
)
"""Fields that may change when a run goes on: every row says what it was made with."""
STRIP = 6
"""Validation images that the figure shows."""
CAPTIONS = {
    "depth_scaling.png": "Training loss against depth; the gradient in each block's input before "
    "training, theory dashed; what the deepest nets predict on images they never saw.",
    "curves.png": "Training loss of each arm's deepest nets at their best rate, a line a seed.",
    "responses.png": "After training: what each block of the deepest nets puts out (plain) or adds "
    "(residual), and how much of its output that is, in the shallowest and the deepest.",
}


def main(config: Config) -> None:
    """Run what is not yet in `config.out`, then write tables and figures."""
    use_all_cores(config.devices)
    records.open_run(
        config.out,
        config,
        results="results.csv",
        written=(
            *studies.WRITTEN,
            "gradients.csv",
            "responses.csv",
            "metrics.jsonl",
            "predictions/*.npy",
        ),
        may_differ=MAY_DIFFER,
        resume=config.resume,
        overwrite=config.overwrite,
    )
    study = Study(config)
    stopped = False
    try:
        for arm, depth in itertools.product(config.arms, config.depths):
            study.run(arm, depth)
    except KeyboardInterrupt:
        stopped = True
    study.report()
    if stopped:
        print(
            f"\nStopped. {len(study.results)} runs are in {config.out}; to go on, give the same "
            "command with --resume in place of --overwrite."
        )
        raise SystemExit(130)


class Study:
    """The runs of one configuration, and what is known of them so far."""

    def __init__(self, config: Config):
        self.config, self.out = config, config.out
        self.mesh = member_mesh(config.seeds * len(config.learning_rates))
        self.dataset = load_data(config)
        self.train = self.dataset.source("train", cache=True)
        self.validation = self.dataset.source("validation", cache=True)
        self.results: Rows = self._saved("results.csv", RESULTS)
        self.gradients: Rows = self._saved("gradients.csv", GRADIENTS)
        self.responses: Rows = self._saved("responses.csv", RESPONSES)

    def run(self, arm: str, depth: int) -> None:
        """Train and measure one arm at one depth; runs that are recorded already are skipped."""
        done = {
            (row["seed"], row["learning_rate"])
            for row in self.results
            if (row["arm"], row["depth"]) == (arm, depth)
        }
        wanted = itertools.product(range(self.config.seeds), self.config.learning_rates)
        members = [Member(*m) for m in wanted if m not in done]
        if not members and self._gradients_known(arm, depth):
            return
        init, apply = nn.functional(lambda rngs: self.net(arm, depth, rngs))
        start = self._start(init)
        self._measure_gradients(arm, depth, apply, start)
        if not members:
            return
        sweep = train_members(
            apply,
            jax.tree.map(lambda a: a[[m.seed for m in members]], start),
            self.optimizer,
            members,
            self._batches,
            steps=self.config.steps,
            mesh=self.mesh,
            name=f"{arm}, {depth} convolutions, {len(members)} runs",
            transform=lambda _, batch: self.dataset.info.normalize_batch(batch),
        )
        rows = self._evaluate(arm, depth, members, apply, sweep)
        self._save_curves(rows, sweep)
        if depth in (min(self.config.depths), max(self.config.depths)):
            self._measure_responses(arm, depth, members, apply, sweep)
        self.results += rows
        records.write_csv(self.out / "results.csv", list(RESULTS), self.results)
        best = min(rows, key=lambda row: row["train_loss"])
        print(
            f"{arm:>16} {depth:>5} convolutions: loss {best['train_loss']:.3f}, "
            f"accuracy {best['pixel_accuracy']:.3f}, mean IoU {best['mean_iou']:.3f} "
            f"at rate {best['learning_rate']:g} (best of {len(rows)}; compiled in "
            f"{sweep.compile_seconds:.1f} s, {sweep.step_milliseconds:.1f} ms a step and run)"
        )

    def net(self, arm: str, depth: int, rngs: nnx.Rngs) -> models.DeepNet:
        """The net of one arm with `depth` convolutions."""
        return models.DeepNet(
            classes=self.dataset.info.classes,
            inputs=self.dataset.info.channels,
            features=self.config.features,
            blocks=(depth - 2) // 2,
            dilation=self.config.dilation,
            checkpoint_every=self.config.checkpoint,
            rngs=rngs,
            **ARMS[arm],
        )

    def optimizer(self, learning_rate) -> optax.GradientTransformation:
        """Adam behind a clip of the gradient's norm; the rate falls to 0 over the second half."""
        half = self.config.steps // 2
        return optax.chain(
            clip_by_norm(self.config.clip),
            optax.adam(learning_rate),
            optax.scale_by_schedule(
                optax.linear_schedule(1.0, 0.0, self.config.steps - half, half)
            ),
        )

    def report(self) -> None:
        """Write tables and figures of all that is known."""
        if not self.results:
            return
        chance = math.log(self.dataset.info.classes)
        seeds = len({row["seed"] for row in self.results})
        about = (
            f"{self.dataset.info.name}, {self.config.size[0]}x{self.config.size[1]} pixels, "
            f"{self.config.features} features, {self.config.steps} steps of "
            f"{self.config.batch_size} images, {seeds} seeds"
        )
        deepest = max(row["depth"] for row in self.gradients)
        gradients = gradient_table(self.gradients, deepest)
        expected = {
            arm: theory(deepest, self.config.size, self.config.dilation, ARMS[arm])
            for arm in gradients
        }
        figure = plots.depth_scaling(
            losses=loss_table(self.results),
            chance=chance,
            gradients=gradients,
            depth=deepest,
            theory={arm: line for arm, line in expected.items() if line is not None},
            strip=self._strip(),
            palette=self.dataset.info.palette,
            title=about,
        )
        figure.savefig(self.out / "depth_scaling.png", dpi=150)
        curves = curve_table(self.out / "metrics.jsonl", self.results)
        plots.training_curves(curves, chance, title=about).savefig(self.out / "curves.png", dpi=150)
        response, share = (
            response_table(self.responses, self.results, column) for column in ("response", "share")
        )
        if response:
            figure = plots.layer_responses(response, share, title=about)
            figure.savefig(self.out / "responses.png", dpi=150)
        text = studies.write_summary(
            self.out,
            title="How deep can a segmentation net be trained?",
            about=summarise(self.results, chance, about),
            verdicts=verdicts(self.results, share, chance),
            figures={
                name: caption for name, caption in CAPTIONS.items() if (self.out / name).exists()
            },
        )
        print(f"\n{text}\nFigures: {', '.join(CAPTIONS)} in {self.out}")

    def _saved(self, name: str, columns: dict[str, type]) -> Rows:
        path = self.out / name
        return records.read_csv(path, columns) if self.config.resume and path.exists() else []

    def _batches(self, seed: int):
        return data.batches(self.train, batch_size=self.config.batch_size, seed=seed)

    def _start(self, init):
        """Parameters and statistics of every seed at initialisation, as NumPy arrays."""
        seeds = jnp.array(pad_members(list(range(self.config.seeds)), self.mesh), jnp.uint32)
        draw = over_members(
            lambda seed: init(jax.random.key(seed)), self.mesh, in_axes=(0,), few_calls=True
        )
        return jax.device_get(draw(seeds))

    def _gradients_known(self, arm: str, depth: int) -> bool:
        here = {r["seed"] for r in self.gradients if (r["arm"], r["depth"]) == (arm, depth)}
        return here >= set(range(self.config.seeds))

    def _measure_gradients(self, arm, depth, apply, start) -> None:
        """Gradient norms of every block at initialisation, a row each; once per arm and depth."""
        if self._gradients_known(arm, depth):
            return
        self.gradients = [r for r in self.gradients if (r["arm"], r["depth"]) != (arm, depth)]
        batch = self.dataset.info.normalize_batch(next(self._batches(0)))

        def norms(params, stats, batch):
            return gradient_norms(apply, params, stats, batch, self.config.features)

        measure = over_members(norms, self.mesh, in_axes=(0, 0, None), few_calls=True)
        found = jax.device_get(measure(*start, batch))
        self.gradients += [
            {
                "arm": arm,
                "depth": depth,
                "seed": seed,
                "layer": layer + 1,
                "input_gradient_norm": float(found.inputs[seed, layer]),
                "weight_gradient_norm": float(found.weights[seed, layer]),
            }
            for seed in range(self.config.seeds)
            for layer in range(depth // 2 - 1)
        ]
        records.write_csv(self.out / "gradients.csv", list(GRADIENTS), self.gradients)

    def _measure_responses(self, arm, depth, members, apply, sweep: Sweep) -> None:
        """What each block puts out, or adds, after training; a row a member and block."""
        residual = ARMS[arm]["residual"]

        def responses(params, stats, images):
            return layer_responses(apply, params, stats, images, residual=residual)

        measure = over_members(responses, self.mesh, in_axes=(0, 0, None), few_calls=True)
        images = self.dataset.info.normalize(next(self._batches(0))["image"])
        found = jax.device_get(measure(sweep.params, sweep.stats, images))
        fresh = [
            {
                "arm": arm,
                "depth": depth,
                "seed": m.seed,
                "learning_rate": m.learning_rate,
                "layer": layer + 1,
                "response": float(response),
                "share": float(share),
            }
            for m, *by_layer in zip(members, *found, strict=False)
            for layer, (response, share) in enumerate(zip(*by_layer, strict=True))
        ]
        redone = {(r["arm"], r["depth"], r["seed"], r["learning_rate"]) for r in fresh}
        self.responses = fresh + [
            r
            for r in self.responses
            if (r["arm"], r["depth"], r["seed"], r["learning_rate"]) not in redone
        ]
        records.write_csv(self.out / "responses.csv", list(RESPONSES), self.responses)

    def _evaluate(self, arm, depth, members, apply, sweep: Sweep) -> Rows:
        confusion, shown = evaluate_members(
            apply,
            sweep,
            data.padded_batches(self.validation, batch_size=STRIP),
            classes=self.dataset.info.classes,
            mesh=self.mesh,
            transform=lambda _, batch: self.dataset.info.normalize_batch(batch),
        )
        losses, best = sweep.final_losses(), int(np.argmin(sweep.final_losses()))
        folder = self.out / "predictions"
        folder.mkdir(exist_ok=True)
        here = [r["train_loss"] for r in self.results if (r["arm"], r["depth"]) == (arm, depth)]
        if losses[best] <= min(here, default=np.inf):
            records.write_array(folder / f"{arm}-{depth}.npy", shown[best].astype(np.uint8))
        counts = jnp.asarray(confusion, jnp.int32)
        accuracy, iou = pixel_accuracy(counts), mean_iou(counts)
        parameters = sum(a[0].size for a in jax.tree.leaves(sweep.params))
        return [
            {
                "arm": arm,
                "depth": depth,
                "seed": m.seed,
                "learning_rate": m.learning_rate,
                "train_loss": float(losses[i]),
                "pixel_accuracy": float(accuracy[i]),
                "mean_iou": float(iou[i]),
                "parameters": parameters,
                "compile_seconds": round(sweep.compile_seconds, 3),
                "step_milliseconds": round(sweep.step_milliseconds, 3),
            }
            for i, m in enumerate(members)
        ]

    def _save_curves(self, rows: Rows, sweep: Sweep) -> None:
        """About fifty points of every run's training loss, means of so many steps, a line a run."""
        every = max(1, self.config.steps // 50)
        for row, losses in zip(rows, sweep.losses, strict=True):
            run = {key: row[key] for key in ("arm", "depth", "seed", "learning_rate")}
            means = losses[: len(losses) // every * every].reshape(-1, every).mean(axis=1)
            points = [None if np.isnan(v) else round(float(v), 5) for v in means]
            records.append_jsonl(
                self.out / "metrics.jsonl", {**run, "every": every, "train_loss": points}
            )

    def _strip(self) -> dict[str, np.ndarray]:
        """Validation images, masks, and what the deepest nets of either kind predict."""
        batch = next(data.padded_batches(self.validation, batch_size=STRIP))
        strip = {"image": batch["image"] / 255, "mask": batch["label"]}
        for arm in ("residual", "plain"):
            depths = [row["depth"] for row in self.results if row["arm"] == arm]
            path = self.out / "predictions" / f"{arm}-{max(depths, default=0)}.npy"
            if path.exists():
                strip[f"{arm}, {max(depths)}"] = records.read_array(path)
        return strip


def load_data(config: Config) -> data.Dataset:
    """The data set at the configured size, prepared on the first call."""
    if config.dataset == "camvid":
        return data.camvid(size=config.size, directory=config.camvid_dir, data_dir=config.data_dir)
    if config.size[0] != config.size[1]:
        raise ValueError(f"size={config.size}: mosaics are square; give one side twice.")
    # Large cells of the photographs' own grey values, shrunk so that a stone or a blade is a few
    # pixels: learned within a hundred steps, so that what fails, fails by its depth.
    return data.mosaic(
        size=config.size[0],
        cells=2,
        scale=4,
        equal=False,
        gain=0.0,
        offset=0.0,
        data_dir=config.data_dir,
    )


def command(args: Sequence[str] | None = None) -> None:
    """Read the command line, run, and say what is wrong in one line where something is."""
    # A run that is told to end stops as at Ctrl-C: what is finished is kept and shown.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    studies.run(main, PRESETS, name="depth_scaling", description=__doc__, args=args)


if __name__ == "__main__":
    command()
