"""What the Zigbee2MQTT driver remembers of one socket: the bridge repeats in every message all that it knows."""

from controller.core.reasons import StopReason

STANDS_S = 70.0  # where no answer comes: the bridge itself asks once a minute, or the plug tells each change
ECHOES = 2  # the bridge's own, and the plug's report
WRONG_S = 10.0  # the answer to an ON takes a moment; the state comes before the timer


class Doubt:
    """Of a figure that may be old: cleared up once it was asked for, and so many messages came as bring its answer."""

    def __init__(self) -> None:
        self._since_s: float | None = None
        self._due: int | None = None

    def asked(self, many: int) -> None:
        """Anew: answers to half of the last question and half of this one make no whole."""
        if self._due != 0:
            self._due = many

    def heard(self, now_s: float) -> None:
        self._since_s = now_s if self._since_s is None else self._since_s
        self._due = max(0, self._due - 1) if self._due else self._due

    def answered(self) -> bool:
        return self._due == 0

    def lasts_s(self, now_s: float) -> float:
        return 0.0 if self._since_s is None else now_s - self._since_s


class Memory:
    """Heard on the link's thread, ordered and asked on others: nothing here is looked at twice that may be gone."""

    def __init__(self) -> None:
        self.on: bool | None = None
        self.leased = False  # our newest word was an ON, and every ON of ours carries its end
        self.settings: dict[str, float] = {}  # told since the last provisioning
        self._power_w: float | None = None
        self._power = Doubt()  # begun anew with each reading: a power that stays the same is new only as an answer
        self._old = False  # what is known of its power is from before it went off, or before the bridge was away
        self._timer: Doubt | None = None  # whether it fits the relay
        self._told_wrong = False
        self._setting = Doubt()  # whether what it does after a power cut is its own word, and not the bridge's hope

    @property
    def settled(self) -> bool:
        """Nothing has to be asked to know what it does."""
        return not self._old and self._timer is None and self.on is False and not self.leased

    @property
    def doubts_timer(self) -> bool:
        return self._timer is not None

    def ordered(self, *, on: bool) -> None:
        if on:
            self._old = False
        elif self.on is not False:
            self.distrust()
        self.leased = on

    def switched(self, *, on: bool) -> None:
        if not on and self.on is not False and not self._old:
            self.distrust()
        self.on = on

    def distrust(self) -> None:
        self._power, self._old = Doubt(), True

    def asked(self, power: int | None, timer: int | None) -> None:
        """By which message each is answered; an OFF that is still under way has two of its own before that."""
        if power is not None:
            self._power.asked(power + (ECHOES if self._old and self.on is not False else 0))
        doubt = self._timer
        if doubt is not None and timer is not None:
            doubt.asked(timer)

    def provisioned(self, setting: int) -> None:
        self.settings.clear()
        self._setting = Doubt()
        self._setting.asked(setting)

    def knows_setting(self, now_s: float) -> bool:
        """Asked with every message."""
        self._setting.heard(now_s)
        return self._setting.answered()

    def is_new(self, power_w: float, now_s: float, *, can_ask: bool) -> bool:
        """Whether it was measured since the last reading; of a power that nobody can ask for, since it went off."""
        before_w, self._power_w = self._power_w, power_w
        doubt, old = self._power, self._old
        doubt.heard(now_s)
        repeated = power_w == before_w and not doubt.answered()
        if repeated and (doubt.lasts_s(now_s) < STANDS_S if old else can_ask):
            return False
        if self._power is doubt:  # not one that an OFF has just begun
            self._power, self._old = Doubt(), False
        return True

    def newly_wrong(self, countdown_s: float | None, now_s: float) -> StopReason | None:
        """On without a timer, nothing but us would cut it; off with one, it would switch itself on."""
        wrong = (self.on is True and self.leased and not countdown_s) or (self.on is False and bool(countdown_s))
        if not wrong:
            self._timer, self._told_wrong = None, False
            return None
        doubt = self._timer = self._timer or Doubt()
        doubt.heard(now_s)
        if self._told_wrong or not doubt.answered() or doubt.lasts_s(now_s) < WRONG_S:
            return None
        self._told_wrong = True
        return StopReason.RELAY_FAULT
