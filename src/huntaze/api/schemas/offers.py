"""Shapes of `/v1/offers`."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from huntaze.api.schemas.base import Body, PrintableText
from huntaze.models.offer_store import Seen
from huntaze.models.offers import OfferRedemption
from huntaze.pipelines.offers.states import OfferState

_ID = "01980a52-03c7-7d02-a1b5-52d1c0e8f3aa"
_MOST_MINOR = 10**12
_YEARS = range(2000, 2200)
_TERMS = {"price_minor", "currency", "percent_off_bp"}


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError("Expected an IANA time zone, as Europe/Paris") from None
    return value


def _of_our_time(value: datetime) -> datetime:
    if not _YEARS[0] <= value.year <= _YEARS[-1]:
        raise ValueError(f"Expected a year from {_YEARS[0]} to {_YEARS[-1]}")
    return value


Zone = Annotated[str, Field(max_length=64, examples=["Europe/Paris"]), AfterValidator(_zone)]
Code = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{3,64}$", to_upper=True)]
Segment = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,32}$")]
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
Minor = Annotated[int, Field(strict=True, ge=0, le=_MOST_MINOR, description="in the currency's minor units")]
Percent = Annotated[
    int, Field(strict=True, ge=1, le=10_000, description="hundredths of a percent: 2500 is a quarter off")
]
Moment = Annotated[
    datetime, Field(description="with an offset, or a wall clock's in `time_zone`"), AfterValidator(_of_our_time)
]
Audience = Annotated[list[Segment], Field(max_length=20, description="a fan of any of these; none: everybody")]
Quota = Annotated[int, Field(strict=True, ge=1, le=2**31 - 1, description="redemptions in all")]
PerFan = Annotated[int, Field(strict=True, ge=1, le=1000, description="redemptions of one fan")]
Name = Annotated[PrintableText, Field(max_length=255)]

_WANTED: dict[str, Any] = {
    "name": "Summer",
    "code": "SUMMER26",
    "percent_off_bp": 2500,
    "audience": ["new"],
    "starts_at": "2026-07-01T00:00:00",
    "ends_at": "2026-08-01T00:00:00",
    "time_zone": "Europe/Paris",
    "quota": 500,
}


def _check_terms(price_minor: int | None, currency: str | None, percent_off_bp: int | None) -> None:
    if (price_minor is None) == (percent_off_bp is None):
        raise ValueError("give price_minor or percent_off_bp, one of the two")
    if (price_minor is None) != (currency is None):
        raise ValueError("currency goes with price_minor")


class OfferRequest(Body):
    """An offer to be, as a draft that nobody sees."""

    model_config = ConfigDict(json_schema_extra={"examples": [_WANTED]})

    name: Name
    code: Code | None = Field(None, description="upper and lower case are the same; of one offer at a time")
    price_minor: Minor | None = None
    currency: Currency | None = None
    percent_off_bp: Percent | None = None
    audience: Audience = Field([])
    starts_at: Moment | None = Field(None, description="null: when it is scheduled")
    ends_at: Moment | None = Field(None, description="null: never; not part of the offer's time")
    time_zone: Zone | None = Field(None, description="null: the creator's")
    quota: Quota | None = Field(None, description="redemptions in all; null: any number")
    per_fan: PerFan | None = Field(1, description="redemptions of one fan; null: any number")

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        _check_terms(self.price_minor, self.currency, self.percent_off_bp)
        return self


class OfferChange(Body):
    """What is to be different; what is left out stays. What fans have been shown, code and terms, cannot change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ends_at": "2026-08-15T00:00:00", "quota": 800}]})

    name: Name | None = None
    code: Code | None = None
    price_minor: Minor | None = None
    currency: Currency | None = None
    percent_off_bp: Percent | None = None
    audience: Audience | None = None
    starts_at: Moment | None = None
    ends_at: Moment | None = None
    time_zone: Zone | None = None
    quota: Quota | None = None
    per_fan: PerFan | None = None

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if _TERMS & self.model_fields_set:
            _check_terms(self.price_minor, self.currency, self.percent_off_bp)
        for name in {"name", "audience", "time_zone"} & self.model_fields_set:
            if getattr(self, name) is None:
                raise ValueError(f"{name} cannot be null")
        return self

    def values(self) -> dict[str, Any]:
        """Columns; a change of the terms names all three."""
        given = self.model_dump(exclude_unset=True)
        return given | ({name: getattr(self, name) for name in _TERMS} if _TERMS & given.keys() else {})


_VIEW: dict[str, Any] = {
    **_WANTED,
    "id": _ID,
    "state": "scheduled",
    "price_minor": None,
    "currency": None,
    "starts_at": "2026-06-30T22:00:00Z",
    "ends_at": "2026-07-31T22:00:00Z",
    "per_fan": 1,
    "redeemed": 0,
    "created_at": "2026-06-02T10:30:00Z",
}


class OfferView(BaseModel):
    """An offer as it is at this moment."""

    model_config = ConfigDict(json_schema_extra={"examples": [_VIEW]})

    id: uuid.UUID
    state: OfferState = Field(description="true by the clock, also between two runs of the schedule")
    name: str
    code: str | None
    price_minor: int | None
    currency: str | None
    percent_off_bp: int | None
    audience: list[str]
    starts_at: datetime | None
    ends_at: datetime | None
    time_zone: str
    quota: int | None
    per_fan: int | None
    redeemed: int
    created_at: datetime

    @classmethod
    def of(cls, seen: Seen) -> Self:
        columns = {name: getattr(seen.offer, name) for name in cls.model_fields}
        return cls.model_validate(columns | {"state": seen.state})


class OfferPage(BaseModel):
    """Newest first. `next_cursor` is null on the last page."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"offers": [_VIEW], "next_cursor": None}]})

    offers: list[OfferView]
    next_cursor: uuid.UUID | None


class RedeemRequest(Body):
    """A fan takes an offer, named by its id or its code."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "code": "SUMMER26",
                    "fan_id": "fan-4711",
                    "segments": ["new"],
                    "price_minor": 999,
                    "currency": "EUR",
                    "reference": "order-2026-000123",
                }
            ]
        }
    )

    offer_id: uuid.UUID | None = None
    code: Code | None = None
    fan_id: Annotated[PrintableText, Field(max_length=64, description="the platform's id of the fan")]
    segments: list[Segment] = Field([], max_length=50, description="which audiences the fan is of")
    price_minor: Minor
    currency: Currency
    reference: Annotated[PrintableText, Field(max_length=255, description="of this redemption: a repeat gets the same")]

    @model_validator(mode="after")
    def _one_name(self) -> Self:
        if (self.offer_id is None) == (self.code is None):
            raise ValueError("give offer_id or code, one of the two")
        return self


class RedemptionView(BaseModel):
    """What the fan pays."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": _ID,
                    "offer_id": _ID,
                    "fan_id": "fan-4711",
                    "reference": "order-2026-000123",
                    "price_minor": 999,
                    "pays_minor": 749,
                    "currency": "EUR",
                    "redeemed_at": "2026-07-02T10:30:00Z",
                }
            ]
        }
    )

    id: uuid.UUID
    offer_id: uuid.UUID
    fan_id: str
    reference: str
    price_minor: int
    pays_minor: int
    currency: str
    redeemed_at: datetime

    @classmethod
    def of(cls, row: OfferRedemption) -> Self:
        return cls.model_validate({name: getattr(row, name) for name in cls.model_fields})
