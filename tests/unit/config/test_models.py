"""The models as the vocabulary of Python code: the same rules without a file."""

from __future__ import annotations

import pickle

import pytest
from pydantic import ValidationError

from labcycle.config import (
    TIERS,
    ApiDelivery,
    BatchDelivery,
    Drift,
    ExternalDelivery,
    HardwareTier,
    Member,
    Model,
    Monitor,
    Network,
    Outcome,
    Performance,
    Principal,
    Promotion,
    RawCapture,
    Reaction,
    Retrain,
    SignIn,
    Target,
    Team,
    TierName,
    Workspaces,
)
from labcycle.config.problem import dotted
from labcycle.config.regions import is_zone_of, known_regions
from labcycle.config.rules import MODEL_KEYS, NETWORK_KEYS, PRINCIPAL_KINDS

MEMBER = Member(name="ada", principal=Principal(iam_user="ada"), roles=("data_scientist",))
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/training:1"


def team(**changes: object) -> Team:
    values: dict[str, object] = {
        "team": "fraud",
        "owner": "owner@example.com",
        "cost_centre": "cc-1",
        "target": "eu",
        "stage": "sandbox",
        "members": [MEMBER],
    }
    return Team.model_validate(values | changes)


def model(**changes: object) -> Model:
    delivery = ApiDelivery(form="api", runtime="lambda")
    values: dict[str, object] = {"name": "m", "business_owner": "b@example.com", "deliver": [delivery]}
    return Model.model_validate(values | changes)


def test_models_are_made_in_python_and_never_change() -> None:
    made = team(models=[model()], workspaces=Workspaces(tiers=("gpu-small",)))
    assert made.members[0] is MEMBER and made.tracking.burst == 200
    with pytest.raises(ValidationError, match="frozen"):
        made.team = "other"
    assert hash(made) == hash(team(models=[model()], workspaces=Workspaces(tiers=("gpu-small",))))
    assert pickle.loads(pickle.dumps(made)) == made


def test_the_rules_hold_without_a_file_too() -> None:
    with pytest.raises(ValidationError, match="got iam_user and saml_subject; allowed exactly one"):
        Principal(iam_user="ada", saml_subject="ada@x")
    with pytest.raises(ValidationError, match=r"got none; allowed exactly one .* Add the one"):
        Principal()
    with pytest.raises(ValidationError, match="do not end with -workspace"):
        Member(name="ada-workspace", principal=Principal(iam_user="ada"), roles=("lead",))
    with pytest.raises(ValidationError, match=r"members\[1\]\.name: got ada"):
        team(members=[MEMBER, Member(name="ada", principal=Principal(iam_user="bob"), roles=("lead",))])
    for reserved in ("target", "target-eu"):
        with pytest.raises(ValidationError, match=r"names other than target and target-\.\.\."):
            team(team=reserved)
    assert team(team="targeting").team == "targeting"
    with pytest.raises(ValidationError, match="a model without retrain"):
        model(monitor=Monitor(), react=[Reaction(on=("drift",), do="retrain")])
    with pytest.raises(ValidationError, match="got api again"):
        model(deliver=[ApiDelivery(form="api", runtime="lambda")] * 2)
    with pytest.raises(ValidationError, match="got a promotion in a model without an api"):
        model(deliver=[BatchDelivery(form="batch")], promotion=Promotion())
    with pytest.raises(ValidationError, match="got 10 after 50; allowed growing shares"):
        model(promotion=Promotion(canary_percents=(50, 10)))
    with pytest.raises(ValidationError, match="got batch again"):
        model(deliver=[BatchDelivery(form="batch")] * 2)
    assert model(deliver=[BatchDelivery(form="batch")], monitor=Monitor()).api is None
    with pytest.raises(ValidationError, match="got external beside batch; allowed alone or beside report"):
        model(deliver=[ExternalDelivery(form="external"), BatchDelivery(form="batch")])
    elsewhere = model(deliver=[ExternalDelivery(form="external")], monitor=Monitor())
    assert elsewhere.deliver == (elsewhere.external,) and model().external is None
    with pytest.raises(ValidationError, match="got country, which capture never keeps"):
        Monitor(cohorts=("country",), capture=RawCapture(redact=("iban", "country")))
    with pytest.raises(ValidationError, match="got 1,200 characters of names; allowed 1,000 together"):
        Monitor(capture=RawCapture(redact=tuple(f"{number:0>40}" for number in range(30))))
    with pytest.raises(ValidationError, match="got 6; allowed at least window_days of performance, which is 7"):
        Monitor(capture=RawCapture(days=6), performance=Performance(limit=0.9))
    with pytest.raises(ValidationError, match="got 30; allowed at least window_days of outcome, which is 31"):
        Monitor(capture=RawCapture(), outcome=Outcome(metric="saved", minimum=1, window_days=31))
    assert not Monitor(cohorts=("country",)).logs_predictions
    assert [
        (one.logs_predictions, one.prediction_days)
        for one in (Monitor(capture=RawCapture(days=40)), Monitor(performance=Performance(limit=0.9)))
    ] == [(True, 40), (True, 92)]
    both = model(deliver=[BatchDelivery(form="batch"), ApiDelivery(form="api", runtime="lambda")], monitor=Monitor())
    assert both.deliver == (both.batch, both.api)
    with pytest.raises(ValidationError, match="has host bits set"):
        Network(name="n", cidr="10.0.0.1/16", egress="none")
    own = {"vpc_id": "vpc-0a1b2c3d", "private_subnet_ids": ("subnet-0a1b2c3d", "subnet-0a1b2c3e")}
    assert Network.model_validate({"name": "n", "egress": "nat"} | own).cidr == "10.0.0.0/16"  # by default, not given
    with pytest.raises(ValidationError, match="an address range for a VPC of your own"):
        Network.model_validate({"name": "n", "egress": "nat", "cidr": "10.0.0.0/16"} | own)
    with pytest.raises(ValidationError, match="availability zones of eu-west-1"):
        Target(
            target="t",
            account="123456789012",
            region="eu-west-1",
            zones=("eu-west-2a", "eu-west-1a"),
            network=Network(name="n", egress="none"),
        )


def test_nothing_is_converted_silently() -> None:
    with pytest.raises(ValidationError):
        Workspaces.model_validate({"tiers": ["gpu-small"], "volume_gib": "100"})
    with pytest.raises(ValidationError):
        Drift.model_validate({"minimum_rows": 500.0})
    with pytest.raises(ValidationError):
        Retrain.model_validate({"image": IMAGE, "maximum_minutes": 60.0})
    with pytest.raises(ValidationError):
        SignIn.model_validate({"saml_provider": 1})


def test_a_budget_needs_an_instance_whose_price_is_known() -> None:
    budgeted = [Reaction(on=("manual",), do="retrain", monthly_budget_usd=5)]
    assert model(retrain=Retrain(image=IMAGE), react=budgeted).react
    with pytest.raises(ValueError, match=r"a budget for trainings on ml.p5.48xlarge, whose price is not known"):
        model(retrain=Retrain(image=IMAGE, instance_type="ml.p5.48xlarge"), react=budgeted)
    assert model(
        retrain=Retrain(image=IMAGE, instance_type="ml.p5.48xlarge"), react=[Reaction(on=("manual",), do="retrain")]
    )


def test_a_reaction_waits_for_review_unless_told_otherwise() -> None:
    made = model(monitor=Monitor(), retrain=Retrain(image=IMAGE), react=[Reaction(on=("drift",), do="retrain")])
    assert made.react[0].promote == "after_review"


def test_the_words_of_the_rules_are_those_of_the_models() -> None:
    assert tuple(Principal.model_fields) == PRINCIPAL_KINDS
    assert tuple(Model.model_fields) == MODEL_KEYS
    assert tuple(Network.model_fields) == NETWORK_KEYS


def test_every_tier_of_the_vocabulary_is_in_the_catalogue() -> None:
    names: tuple[TierName, ...] = TierName.__args__  # type: ignore[attr-defined]
    assert tuple(TIERS) == names
    for name, tier in TIERS.items():
        assert isinstance(tier, HardwareTier) and tier.name == name and tier.purpose
        assert tier.usd_per_hour and tier.machine.is_in("us-east-1"), name
        chips = tier.machine.accelerators
        assert (chips.kind if chips else "none") == {"gpu": "gpu", "accelerator": "neuron"}.get(
            name.split("-")[0], "none"
        )


def test_regions_and_zones_are_known_offline() -> None:
    assert {"eu-west-1", "us-east-1", "us-gov-west-1", "cn-north-1"} <= set(known_regions())
    assert not [region for region in known_regions() if "global" in region]
    assert is_zone_of("eu-west-1a", "eu-west-1")
    for no_zone in ("eu-west-1", "eu-west-1A", "eu-west-11", "eu-west-2a", "eu-west-1-lax-1a", ""):
        assert not is_zone_of(no_zone, "eu-west-1")


def test_a_path_is_written_as_people_read_it() -> None:
    assert dotted(("models", 0, "deliver", 1, "form")) == "models[0].deliver[1].form"
    assert dotted(()) == ""
