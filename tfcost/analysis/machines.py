"""What `--device` names: a device of the table, a file of the same form, or ceilings that were measured."""

from pathlib import Path

from tfcost.analysis.ceilings import ceilings_of
from tfcost.analysis.devices import device_names, load_device
from tfcost.analysis.predict import Machine
from tfcost.errors import UserError, nearest
from tfcost.evidence.read import committed_paths


def load_machine(name: str) -> Machine:
    """The machine called `name`: of the device table, of the evidence that comes with tfcost (by its file's name), or
    in a file of one's own, a device in .yaml or evidence in .json.

    UserError for an unknown name and, with the file, for one that is neither.
    """
    if name.endswith(".json"):
        return ceilings_of(Path(name))
    measured = {path.stem: path for path in committed_paths()}
    if name in measured:
        return ceilings_of(measured[name])
    if name.endswith((".yaml", ".yml")) or name in device_names():
        return load_device(name)
    known = (*device_names(), *measured)
    kinds = [one for one in known if one.startswith(f"{name}-")]
    hint = f"; there are {', '.join(kinds)}" if kinds else nearest(name, known)
    raise UserError(f"unknown device '{name}'{hint}")
