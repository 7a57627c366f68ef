"""How long to wait before the next attempt."""

from attrs import field, frozen
from attrs.validators import ge, gt

from spire.runtime.chance import Chance


@frozen(kw_only=True)
class BackOff:
    """Delays that grow from `first_seconds` by `factor` to `ceiling_seconds`, each shortened at random by up to half."""

    first_seconds: float = field(default=0.5, validator=gt(0))
    factor: float = field(default=1.7, validator=ge(1))
    ceiling_seconds: float = field(default=30.0, validator=gt(0))

    def delay(self, failures: int, chance: Chance) -> float:
        """Return the seconds to wait after `failures` in a row; 0 after none."""
        if failures <= 0:
            return 0.0
        grown = self.first_seconds * self.factor ** min(failures - 1, 64)
        return min(self.ceiling_seconds, grown) * (1.0 - chance() / 2)


TO_SERVICES = BackOff()
TO_LOCATOR = BackOff(ceiling_seconds=2.0)
