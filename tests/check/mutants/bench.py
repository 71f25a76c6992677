"""Scratch repositories with a lock file, one per patch, and what `check` says about them."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from check.mutants.subjects import SUBJECTS

from tfcost.check.deriver import Deriver
from tfcost.check.finding import CheckResult
from tfcost.check.run import derive_with, run_check
from tfcost.check.update import update


@dataclass
class Bench:
    """Makes the repositories in `folder`; each subject is derived once as it is, and its lock file used for all."""

    folder: Path
    deriver: Deriver

    def checked(
        self, subject: str, name: str, file: str, patches: tuple[tuple[str, str], ...], everywhere: bool = False
    ) -> CheckResult:
        """What `check` finds once `patches` are applied to `file`; each old text must stand there once, or `everywhere`
        at least once.
        """
        place = self._copy(subject, name)
        text = (place / file).read_text()
        for old, new in patches:
            count = text.count(old)
            assert count == 1 or (everywhere and count), f"{old!r} stands {count} times in {file}"
            text = text.replace(old, new)
        (place / file).write_text(text)
        shutil.copy(self._baseline(subject) / "tfcost.lock", place / "tfcost.lock")
        return run_check(derive_with(self.deriver, place / "tfcost.yaml"), ("contract", "drift"))

    def _baseline(self, subject: str) -> Path:
        place = self.folder / f"{subject} as it is"
        if not place.exists():
            place.mkdir()
            SUBJECTS[subject].write(place, subject)
            derived = derive_with(self.deriver, place / "tfcost.yaml")
            assert not derived.targets[0].outcome.error, derived.targets[0].outcome.error
            update(derived)
        return place

    def _copy(self, subject: str, name: str) -> Path:
        place = self.folder / f"{subject} {name}"
        place.mkdir()
        SUBJECTS[subject].write(place, subject)
        return place
