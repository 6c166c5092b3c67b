"""What the JSON API takes and gives about bikes, models of chargers and the finish detector's settings."""

from typing import Annotated, Any, Literal

from pydantic import Field

from api.v1.shapes import Asked, At, Given, Id, IdIn, Name

Setting = Annotated[float, Field(examples=[0.12])]
Rules = Annotated[
    dict[str, float],
    Field(description="Names as in `settable`; what is not named has its default.", examples=[{"pause_s": 3600.0}]),
]
Shown = Annotated[dict[str, Any], Field(max_length=32)]
Minutes = Annotated[float, Field(examples=[35.0])]
Count = Annotated[int, Field(examples=[12])]


# -- bikes --------------------------------------------------------------------------------------------------------


class Norm(Given):
    """How a figure of this bike usually is, and how far single charges lie from it."""

    count: Count
    mean: Annotated[float, Field(examples=[168.0])]
    spread: Annotated[float, Field(examples=[2.4])]


class Memory(Given):
    """Of whole charges that nothing disturbed. Energies are of the wall; how empty a bike came nobody knows."""

    charges: Count
    capacity_wh: Annotated[float, Field(description="The most that a charge took.", examples=[480.0])]
    peak_w: Norm
    idle_w: Norm
    energy_wh: Norm
    after_wh: Norm
    bulk_min: Norm
    absorption_min: Norm
    tail_min: Norm


class Bike(Given):
    """`kept` false: told to remember nothing."""

    id: Id
    charger_id: Annotated[str | None, Field(description="The model of its charger.", examples=[None])]
    kept: Annotated[bool, Field(examples=[True])]
    at: At
    memory: Memory


class BikeEdit(Asked):
    charger: Annotated[IdIn | None, Field(description="A model of charger; null: none.", examples=[None])] = None
    kept: Annotated[bool, Field(description="Whether anything is remembered of it.", examples=[True])] = True


class Forgotten(Given):
    forgotten: Annotated[int, Field(examples=[1])]


# -- settings -----------------------------------------------------------------------------------------------------


class Settable(Given):
    name: Annotated[str, Field(examples=["pause_s"])]
    least: Annotated[float, Field(examples=[900.0])]
    most: Annotated[float, Field(examples=[5400.0])]
    default: Annotated[float, Field(examples=[2400.0])]


class Finish(Given):
    """`rules` are those that a person has approved for this site; empty: the defaults hold."""

    rules: Rules
    settable: list[Settable]


class Finishing(Asked):
    """`evidence` is what the settings were approved for; it is kept in the audit log."""

    rules: Rules
    evidence: Shown = Field(default_factory=dict, examples=[{"charges": 12}])


class Trying(Asked):
    rules: Rules


class Change(Given):
    """On one past charge; times are seconds since its start. `now_s` null: not cut within what was recorded."""

    session: Id
    was_s: Annotated[float, Field(examples=[12800.0])]
    now_s: Annotated[float | None, Field(examples=[11900.0])]
    early: Annotated[bool, Field(description="Before 97 % of its useful energy.", examples=[False])]
    again: Annotated[bool, Field(description="Somebody had to start it again.", examples=[False])]


class Trial(Given):
    """What these settings would have changed on the site's last charges, by the detector itself."""

    rules: Rules
    charges: Count
    late: Annotated[int, Field(description="Were on for over twenty minutes after they were full.", examples=[5])]
    again: Annotated[int, Field(description="Were started again within half an hour.", examples=[0])]
    sooner: Annotated[int, Field(examples=[5])]
    sooner_min: Minutes
    later: Annotated[int, Field(examples=[0])]
    early_cuts: Annotated[int, Field(examples=[0])]
    held: Annotated[int, Field(description="Of those started again: would have gone on.", examples=[0])]
    changes: list[Change]


class Suggestion(Given):
    """`why` is `late` (chargers stay on after they are full) or `early` (charges had to be started again)."""

    why: Annotated[Literal["late", "early"], Field(examples=["late"])]
    trial: Trial


class Suggested(Given):
    """null: what holds serves well, or there are too few charges to say."""

    suggestion: Suggestion | None
    charges: Count


class Charger(Given):
    """A model of charger. Its settings apply, over those of its site, to bikes that have it, once approved."""

    id: Id
    site_id: Annotated[str, Field(examples=["yinshan"])]
    name: Annotated[str, Field(examples=["48 V 3 A, green label"])]
    rules: Rules
    state: Annotated[Literal["suggested", "approved", "withdrawn"], Field(examples=["suggested"])]
    evidence: Annotated[dict[str, Any], Field(examples=[{"charges": 12}])]
    by: Annotated[str, Field(examples=["staff:6f1c"])]
    at: At


class NewCharger(Asked):
    site: Annotated[IdIn, Field(examples=["yinshan"])]
    name: Annotated[Name, Field(examples=["48 V 3 A, green label"])]
    rules: Rules
    evidence: Shown = Field(default_factory=dict, examples=[{"charges": 12}])
