"""What can go wrong in a derivation. All are the user's to mend, so all are `UserError`s with a source line."""

from tfcost.errors import UserError


class DerivationError(UserError):
    """The code cannot be derived as it stands."""


class UnknownOperation(DerivationError):
    """An operation without a rule: never counted as zero."""


class SpecialisedSize(DerivationError):
    """A symbolic size turned into a number while the code ran; `names` are the sizes concerned."""

    def __init__(self, names: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.names = names
