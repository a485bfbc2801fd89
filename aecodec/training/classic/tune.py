"""A search for the best shape and training of a classic autoencoder, with Optuna."""

import dataclasses
import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import optuna
import torch

matplotlib.use("Agg")  # files only: no screen is needed

from matplotlib import pyplot  # noqa: E402
from optuna.trial import FrozenTrial, Trial, TrialState  # noqa: E402
from optuna.visualization import matplotlib as charts  # noqa: E402

from aecodec.errors import BadArgument, TrainingDiverged  # noqa: E402
from aecodec.training.classic.data import Pictures  # noqa: E402
from aecodec.training.classic.measure import Aec, curve, mse_at  # noqa: E402
from aecodec.training.classic.recipe import ClassicRecipe  # noqa: E402
from aecodec.training.classic.run import Epoch, train  # noqa: E402
from aecodec.training.output import made  # noqa: E402

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)
STARTING_TRIALS = 5  # that are never cut short, for others to be compared with
PLOTS: dict[str, Callable[..., Any]] = {
    "history": charts.plot_optimization_history,
    "epochs": charts.plot_intermediate_values,
    "importances": charts.plot_param_importances,
    "parallel": charts.plot_parallel_coordinate,
    "slice": charts.plot_slice,
}


@dataclass(frozen=True)
class Search:
    """What is searched: recipes around `recipe`, trained on `pictures`.

    A trial's value is its MSE on the test pictures at `bytes_a_picture`, coded together in mosaics: with the
    bytes left free, the largest network would always win.
    """

    recipe: ClassicRecipe
    pictures: Pictures
    test: Pictures
    bytes_a_picture: float
    out: Path
    device: torch.device

    def run(self, trials: int, say: Callable[[str], None]) -> Path:
        """Go on until the study in `out` has so many finished trials: the path of the best one's recipe.

        `out` then holds study.db, best.toml, plots, and the weights of each trial in a folder of its own.
        Raises BadArgument for the study of another recipe, or if no trial was finished well; OutputUnwritable
        where `out` cannot be.
        """
        with made(self.out):
            return self._run(trials, say)

    def _run(self, trials: int, say: Callable[[str], None]) -> Path:
        study = self._study()
        while (finished := len(study.get_trials(states=FINISHED))) < trials:
            study.sampler = optuna.samplers.TPESampler(seed=finished)  # else a resumed study repeats itself
            study.optimize(self._trial, n_trials=1)
            say(_said(study.trials[-1], trials))
        best = self.out / "best.toml"
        if not study.get_trials(states=(TrialState.COMPLETE,)):
            raise BadArgument(
                f"no trial was trained to its end and reaches {self.bytes_a_picture:g} bytes a picture: ask "
                "for more trials or bytes, or lower the rate of the recipe"
            )
        best.write_text(toml(suggest(optuna.trial.FixedTrial(study.best_params), self.recipe)))
        say(f"best: trial {study.best_trial.number}, MSE {study.best_value:.6f}")
        draw(study, self.out)
        return best

    def _study(self) -> optuna.Study:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(
            storage=f"sqlite:///{self.out / 'study.db'}",
            study_name="aecodec",  # one a folder, so that another recipe is refused below
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(STARTING_TRIALS, n_warmup_steps=1),
        )
        about = {"recipe": toml(self.recipe), "bytes a picture": self.bytes_a_picture}
        if study.user_attrs and study.user_attrs != about:
            raise BadArgument(f"{self.out} holds the study of another recipe or size: choose another folder")
        for name, value in about.items():
            study.set_user_attr(name, value)
        return study

    def _trial(self, trial: Trial) -> float:
        def on_epoch(epoch: Epoch) -> None:
            if epoch.test_mse is not None:
                trial.report(epoch.test_mse, epoch.epoch)
            if trial.should_prune():
                raise optuna.TrialPruned

        recipe, out = suggest(trial, self.recipe), self.out / f"trial-{trial.number}"
        try:
            weights = train(recipe, self.pictures, self.test, out, None, self.device, on_epoch=on_epoch)
        except TrainingDiverged as diverged:
            raise optuna.TrialPruned from diverged
        finally:
            (out / "checkpoint.pt").unlink(missing_ok=True)  # nobody goes on with a trial
        reached = mse_at(curve(Aec(weights, self.device), self.test), self.bytes_a_picture)
        if reached is None:
            raise optuna.TrialPruned
        return reached


def suggest(trial: Any, recipe: ClassicRecipe) -> ClassicRecipe:
    """The recipe with latents, width, loss and learning rate as a trial chooses them."""
    a = recipe.architecture
    depth = trial.suggest_int("latents a position", max(1, a.depth // 8), a.depth, log=True)
    widths = sorted({max(8, a.width // 2 // 8 * 8), a.width, 2 * a.width})
    width = trial.suggest_categorical("width", widths)
    losses = ["mse", "mae", *(["feature"] if recipe.classifier else [])]
    return dataclasses.replace(
        recipe,
        architecture=dataclasses.replace(a, latents=depth * a.positions, width=width),
        loss=trial.suggest_categorical("loss", losses),
        rate=trial.suggest_float("rate", recipe.rate / 10, recipe.rate * 10, log=True),
    )


def toml(recipe: ClassicRecipe) -> str:
    """The recipe as the file that `read_recipe` reads."""
    values = dataclasses.asdict(recipe)
    tables = {"": values, "\n[architecture]": values.pop("architecture")}
    lines = ['family = "classic"']
    for heading, table in tables.items():
        lines += [heading] if heading else []
        lines += [f"{key} = {json.dumps(value)}" for key, value in table.items() if value is not None]
    return "\n".join(lines) + "\n"


def draw(study: optuna.Study, out: Path) -> None:
    """Write Optuna's own plots, as tune-NAME.png; those that compare need two finished trials."""
    if len(study.get_trials(states=(TrialState.COMPLETE,))) < 2:
        return
    for name, plot in PLOTS.items():
        with warnings.catch_warnings():  # "experimental" since version 2.2; axes of one value alone
            warnings.simplefilter("ignore")
            plot(study)
        figure = pyplot.gcf()
        figure.set_size_inches(10, 6)
        figure.savefig(out / f"tune-{name}.png", dpi=110, bbox_inches="tight")
        pyplot.close(figure)


def _said(trial: FrozenTrial, trials: int) -> str:
    chosen = ", ".join(
        f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in trial.params.items()
    )
    outcome = f"MSE {trial.value:.6f}" if trial.state == TrialState.COMPLETE else trial.state.name.lower()
    return f"trial {trial.number} of {trials}: {chosen}: {outcome}"
