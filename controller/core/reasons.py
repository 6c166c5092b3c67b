"""Why a session stops: the words, and the field's (OCPP 2.0.1 stoppedReason) for each."""

from enum import StrEnum


class StopReason(StrEnum):
    FINISHED = "finished"
    UNPLUGGED = "unplugged"
    NEVER_PLUGGED = "never_plugged"
    TIME_LIMIT = "time_limit"
    ENERGY_LIMIT = "energy_limit"
    CREDIT_USED = "credit_used"
    STOPPED_BY_RESIDENT = "stopped_by_resident"
    STOPPED_BY_STAFF = "stopped_by_staff"
    SITE_CUT = "site_cut"
    OVERLOAD = "overload"
    OVERHEAT = "overheat"
    SMOKE = "smoke"
    FLOOD = "flood"
    LEAKAGE = "leakage"
    OVER_VOLTAGE = "over_voltage"
    UNDER_VOLTAGE = "under_voltage"
    NEVER_TURNED = "never_turned"
    NOT_A_CHARGER = "not_a_charger"
    RELAY_FAULT = "relay_fault"
    FUSE_BLOWN = "fuse_blown"
    METER_FAULT = "meter_fault"
    LINK_LOST = "link_lost"
    POWER_LOSS = "power_loss"
    PLUG_SWAPPED = "plug_swapped"
    DEVICE_STOP = "device_stop"
    GATEWAY_FAULT = "gateway_fault"
    START_FAILED = "start_failed"
    CANCELLED = "cancelled"


OCPP_STOPPED_REASON: dict[StopReason, str] = {
    StopReason.FINISHED: "StoppedByEV",
    StopReason.UNPLUGGED: "EVDisconnected",
    StopReason.NEVER_PLUGGED: "Timeout",
    StopReason.TIME_LIMIT: "TimeLimitReached",
    StopReason.ENERGY_LIMIT: "EnergyLimitReached",
    StopReason.CREDIT_USED: "LocalOutOfCredit",
    StopReason.STOPPED_BY_RESIDENT: "Local",
    StopReason.STOPPED_BY_STAFF: "Remote",
    StopReason.SITE_CUT: "EmergencyStop",
    StopReason.OVERLOAD: "OvercurrentFault",
    StopReason.OVERHEAT: "Other",
    StopReason.SMOKE: "EmergencyStop",
    StopReason.FLOOD: "EmergencyStop",
    StopReason.LEAKAGE: "GroundFault",
    StopReason.OVER_VOLTAGE: "PowerQuality",
    StopReason.UNDER_VOLTAGE: "PowerQuality",
    StopReason.NEVER_TURNED: "Other",
    StopReason.NOT_A_CHARGER: "Other",
    StopReason.RELAY_FAULT: "Other",
    StopReason.FUSE_BLOWN: "PowerLoss",
    StopReason.METER_FAULT: "Other",
    StopReason.LINK_LOST: "Other",
    StopReason.POWER_LOSS: "PowerLoss",
    StopReason.PLUG_SWAPPED: "EVDisconnected",
    StopReason.DEVICE_STOP: "Local",
    StopReason.GATEWAY_FAULT: "Reboot",
    StopReason.START_FAILED: "Other",
    StopReason.CANCELLED: "Local",
}
