"""The list of prices, and figures of one's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from labcycle.config import TIERS, ConfigError
from labcycle.config.price_list import AS_OF, PRICES, price_list
from labcycle.config.regions import known_regions
from labcycle.cost.prices import NoPrice, Prices, own_prices


def written(folder: Path, text: str) -> Path:
    file = folder / "prices.yaml"
    file.write_text(text)
    return file


def test_every_price_has_a_figure_a_unit_and_its_page() -> None:
    assert AS_OF == "2026-01"
    for key, price in PRICES.prices.items():
        assert price.key == key and price.usd > 0 and price.unit, key
        assert price.source.startswith("https://aws.amazon.com/") and "/pricing/" in price.source, key
        assert price.region in ("", "us-east-1"), key


def test_a_region_has_its_own_figures_where_they_are_known() -> None:
    ireland = price_list("eu-west-1")
    assert (ireland.usd("nat_gateway_hour"), ireland.prices["nat_gateway_hour"].region) == (0.048, "eu-west-1")
    assert (ireland.usd("dynamodb_write"), ireland.prices["dynamodb_write"].region) == (0.000000625, "us-east-1")
    assert ireland.prices["kms_key_month"].region == ""
    assert ireland.usd("ec2_instance_hour.g4dn.xlarge") == 0.587
    assert ireland.usd("ec2_instance_hour.m7i.large") == PRICES.usd("ec2_instance_hour.m7i.large")


def test_what_stands_in_is_said_of_what_was_taken_alone() -> None:
    prices = Prices("eu-west-1", {"secret_month": 0.5})
    for key in ("nat_gateway_hour", "dynamodb_write", "kms_key_month", "secret_month"):
        prices.usd(key)
    assert (prices.stand_ins, prices.own) == (["dynamodb_write"], ["secret_month"])
    taken = prices.to_doc()["taken"]
    assert {key: one["region"] for key, one in taken.items()} == {
        "dynamodb_write": "us-east-1",
        "kms_key_month": "all",
        "nat_gateway_hour": "eu-west-1",
        "secret_month": "own",
    }


def test_nothing_stands_in_at_home() -> None:
    prices = Prices("us-east-1")
    for key in PRICES.prices:
        prices.usd(key)
    assert prices.stand_ins == []


def test_what_is_the_same_everywhere_is_so_in_commercial_regions_alone() -> None:
    for region, whose in (("ap-southeast-4", ""), ("cn-north-1", "us-east-1"), ("us-gov-west-1", "us-east-1")):
        assert price_list(region).prices["kms_key_month"].region == whose


def test_regions_that_are_not_in_the_list_have_figures_all_the_same() -> None:
    for region in known_regions():
        assert price_list(region).prices.keys() == PRICES.prices.keys()


def test_every_tier_has_a_price() -> None:
    assert all((tier.usd_per_hour or 0) > 0 for tier in TIERS.values())


def test_a_type_without_a_price_says_how_to_name_one() -> None:
    with pytest.raises(NoPrice, match=r"no price of ec2_instance_hour\.p5en\.48xlarge is known; .* --prices"):
        Prices("us-east-1").usd("ec2_instance_hour.p5en.48xlarge")


def test_own_figures_take_the_place_of_single_ones(tmp_path: Path) -> None:
    text = "nat_gateway_hour: 0.04\nkms_key_month: 0\nec2_instance_hour: {g4dn.xlarge: 0.4, p5en.48xlarge: 55.04}\n"
    own = own_prices(written(tmp_path, text))
    prices = Prices("eu-west-1", own)
    assert prices.usd("nat_gateway_hour") == 0.04
    assert prices.usd("kms_key_month") == 0
    assert prices.usd("ec2_instance_hour.g4dn.xlarge") == 0.4
    assert prices.usd("ec2_instance_hour.p5en.48xlarge") == 55.04
    assert prices.usd("ec2_instance_hour.g5.xlarge") == PRICES.usd("ec2_instance_hour.g5.xlarge")


@pytest.mark.parametrize(
    ("line", "column", "text", "said"),
    [
        (2, 1, "kms_key_month: 1\nnat_gatewy_hour: 1\n", "nat_gatewy_hour: got an unknown key; allowed alarm_metric_month, "),
        (2, 1, "kms_key_month: 1\nnat_gatewy_hour: 1\n", "Did you mean nat_gateway_hour?"),
        (1, 15, "secret_month: cheap\n", "secret_month: got 'cheap'; allowed a number of US dollars, 0 or more"),
        (1, 15, "secret_month: -1\n", "got -1; allowed a number"),
        (1, 15, "secret_month: true\n", "got True; allowed a number"),
        (1, 15, "secret_month: 1.0e999\n", "got inf; allowed a number"),
        (1, 14, "secret_month:\n", "got None; allowed a number"),
        (1, 20, "ec2_instance_hour: 0.5\n", "got 0.5; allowed a mapping of types to numbers, such as c5.12xlarge"),
        (1, 34, "ec2_instance_hour: {g4dn.xlarge: free}\n", "ec2_instance_hour.g4dn.xlarge: got 'free'; allowed a number"),
        (1, 21, "ec2_instance_hour: {g4dn xlarge: 1}\n", "got an unknown type; write it as AWS does"),
        (1, 1, "- kms_key_month\n", "got no mapping; allowed keys with numbers: alarm_metric_month"),
        (2, 1, "secret_month: 1\nsecret_month: 2\n", "secret_month"),
    ],
)  # fmt: skip
def test_a_bad_file_says_what_is_wrong_and_where(tmp_path: Path, line: int, column: int, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        own_prices(written(tmp_path, text))
    (problem,) = error.value.problems
    assert said in str(problem)
    assert (problem.line, problem.column) == (line, column)


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        own_prices(written(tmp_path, "a: 1\nb: 2\nsecret_month: x\n"))
    assert [problem.line for problem in error.value.problems] == [1, 2, 3]


@pytest.mark.parametrize("text", ["", "a: [\n"])
def test_a_file_that_is_none_is_told(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError):
        own_prices(written(tmp_path, text))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        own_prices(tmp_path / "prices.yaml")
