"""What the danger rules go by: each bound with its reason."""

import msgspec


class DangerRules(msgspec.Struct, frozen=True):
    """Fractions are of the charge's highest hour, or of its highest ten minutes where a rule looks at those."""

    hold_s: float = 330.0  # as in finish
    # a pack that never turns
    turn_by_s: float = 6 * 3600.0  # a sound lead-acid pack turns within six to eight hours
    turn_by_wh: float = 300.0  # less than this heats no pack
    hour_s: float = 3600.0
    stuck_hours: int = 3  # a stage of three level hours below the first is no stage of any charger
    stuck_above: float = 0.3  # an old pack stays at 60 to 150 W of 200; float and idle draw lie below
    stuck_below: float = 0.85  # above it is the first stage, which may be as long as the pack is large
    stuck_change: float = 0.04  # an hour; a tail, however long, falls by more
    most_wh: float = 4000.0  # at the wall; a pack of 3 kWh takes 3.5, and no bike carries a larger one
    # power that climbs late
    bin_s: float = 600.0  # long enough to average noise, pulses and bursts away
    bins: int = 5
    late_s: float = 7200.0
    climb_step: float = 0.02  # each ten minutes by more than this ...
    climb_jump: float = 0.25  # ... and by no more than this: a step is another pack, another charger or a rest's end
    climb: float = 0.2  # in all; constant current rises by a tenth over a whole charge
    climb_w: float = 15.0  # a rise under the green light is of 2 W
    climb_from: float = 0.2  # maintenance pulses lie below
    even: float = 0.35  # how far minutes may lie from their ten's mean: pulses do by more, and beat with the reports
    climb_mains: float = 4.0  # a transformer's charger follows the voltage by about its third power
    # two chargers on one lead
    shared_from_w: float = 60.0  # the smallest charger that counts, there already or added
    shared_step: float = 1.35
    shared_most: float = 3.5  # precharge is a seventh to a twelfth of what follows
    shared_level: float = 0.03  # before and after it the power is level
    # a resistive load that is no charger
    minute_s: float = 60.0
    resists_w: float = 250.0  # chargers without regulation are smaller
    resists_pairs: int = 10
    resists_spread: float = 1e-4  # sum of squares of the voltage's relative changes: ten of 0.3 %, sixty of 0.13 %
    resists_error: float = 0.2  # of the exponent: a resistor's is 2, a regulated charger's 0
    resists_off: float = 0.35
    step_most: float = 0.05  # a change of power by more is no answer to the voltage
    factor: float = 0.97  # where current is told; alone it proves nothing: fast chargers correct theirs
    cycles_w: float = 250.0
    cycles_level: float = 0.93  # a thermostat's load comes back at the level it had
    cycles_most: int = 5  # chargers rest; none so often
    no_power_w: float = 3.0
    # meters and fuses
    no_mains_v: float = 20.0
    mains_v: float = 100.0
    fuse_s: float = 20.0  # meters show 0 V while they boot
    frozen_s: float = 900.0  # some count only each five minutes
    frozen_wh: float = 20.0  # the coarsest counter's step is 10 Wh
    ghost_w: float = 0.5


RULES = DangerRules()
