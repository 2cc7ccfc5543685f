"""A network that somebody else made, for the teams of a target."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Annotations
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from labcycle.network.price import MonthlyPrice
from labcycle.network.published import publish
from labcycle.network.zones import check_zones


class ImportedNetwork(Construct):
    """An existing VPC, published through the same SSM parameters as a `SharedNetwork`: teams do not see which it is.

    Nothing is made but the parameters, and nothing is looked up. Workspaces need a way out of the private subnets, and
    S3 and DynamoDB are cheapest through gateway endpoints of the VPC.

    Parameters
    ----------
    name
        Names the SSM parameters `/labcycle/network/<name>/vpc-id` and `private-subnet-ids`.
    vpc_id
        The VPC, in the account and region of the stack.
    zones
        Availability zone names such as `eu-central-1a`, at least two.
    private_subnet_ids
        One subnet a zone, in the order of `zones`.

    Raises
    ------
    ValueError
        If the zones are fewer than two or repeat, or there is not one subnet for each.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        vpc_id: str,
        zones: Sequence[str],
        private_subnet_ids: Sequence[str],
    ) -> None:
        super().__init__(scope, construct_id)
        check_zones(zones)
        if len(set(private_subnet_ids)) != len(zones) or len(private_subnet_ids) != len(zones):
            raise ValueError(
                f"private_subnet_ids: got {list(private_subnet_ids)}; give one subnet for each of {len(zones)} zones."
            )
        self.vpc: ec2.IVpc = ec2.Vpc.from_vpc_attributes(
            self,
            "Interface",
            vpc_id=vpc_id,
            availability_zones=list(zones),
            private_subnet_ids=list(private_subnet_ids),
        )
        for subnet in self.vpc.private_subnets:
            Annotations.of(subnet).acknowledge_warning("@aws-cdk/aws-ec2:noSubnetRouteTableId", "nothing here routes")
        publish(self, name, vpc_id=vpc_id, private_subnet_ids=private_subnet_ids)
        self.price: MonthlyPrice = MonthlyPrice(0.0, f"0 USD a month here: {vpc_id} is paid for where it was made")
