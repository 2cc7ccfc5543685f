"""One network an account and region, shared by the teams of a target."""

from __future__ import annotations

from collections.abc import Sequence

from aws_cdk import Acknowledgment, Annotations, CfnTag, Duration, RemovalPolicy, Stack, Validations
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from labcycle._acknowledge import acknowledge
from labcycle.config import names
from labcycle.config.target import Egress
from labcycle.network.addresses import cut
from labcycle.network.price import MonthlyPrice, monthly_price
from labcycle.network.published import publish
from labcycle.network.zones import check_zones

FLOW_LOGS_KEPT = Duration.days(90)


class SharedNetwork(Construct):
    """A VPC with one private subnet a zone, published through SSM parameters.

    It is drawn from the plain resources rather than with `ec2.Vpc`, which asks the account for its zones even when
    they are given: nothing is looked up at synth. S3 and DynamoDB are reached through gateway endpoints, which are
    free. The default security group keeps AWS's rules (only a custom resource could remove them); nothing here or
    in a team uses it.

    With `nat` there is one NAT gateway, in the first zone: half the price of one a zone, and if that zone fails,
    the others lose their way out until it is back. Flow logs of all traffic then go to a bucket of the network (0.25
    USD a GB, nothing while idle) and are kept 90 days. Without a way out nothing runs here yet, so none are kept.

    Parameters
    ----------
    name
        Names the SSM parameters `/labcycle/network/<name>/vpc-id`, `vpc-cidr` and `private-subnet-ids`.
    zones
        Availability zone names such as `eu-central-1a`, at least two. Add new ones at the end: a zone's address
        ranges follow from its position.
    cidr
        An IPv4 range from /16 to /24.
    egress
        `none`: no way out of the VPC but S3 and DynamoDB. `nat`: to the internet through one NAT gateway, with a
        monthly price that is printed at synth.

    Raises
    ------
    ValueError
        If the zones are fewer than two or repeat, the range cannot be cut, or the egress is unknown.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        name: str,
        zones: Sequence[str],
        cidr: str = "10.0.0.0/16",
        egress: Egress,
    ) -> None:
        super().__init__(scope, construct_id)
        check_zones(zones)
        if egress not in ("none", "nat"):
            raise ValueError(f"egress: got {egress!r}; allowed are 'none' (free) and 'nat' (has a monthly price).")
        self._name = name
        self._network = ec2.CfnVPC(
            self, "Vpc", cidr_block=cidr, enable_dns_hostnames=True, enable_dns_support=True, tags=self._tags("")
        )
        ranges = cut(cidr, len(zones))
        tables, subnets = [], []
        for zone, addresses in zip(zones, ranges.private, strict=True):
            subnet, table = self._subnet("Private", zone, addresses)
            subnets.append(subnet.ref)
            tables.append(table.ref)
        self.flow_logs_bucket: s3.IBucket | None = None
        if egress == "nat":
            self._way_out(zones, ranges.public, tables)
            self.flow_logs_bucket = self._flow_logs()
        else:
            acknowledge(self._network, AwsSolutions_VPC7="Nothing runs in a network without a way out: no flow to log.")
        self._endpoints(tables)
        self.vpc: ec2.IVpc = ec2.Vpc.from_vpc_attributes(
            self,
            "Interface",
            vpc_id=self._network.ref,
            vpc_cidr_block=cidr,
            availability_zones=list(zones),
            private_subnet_ids=subnets,
            private_subnet_route_table_ids=tables,
        )
        publish(self, name, vpc_id=self._network.ref, private_subnet_ids=subnets)
        ssm.CfnParameter(self, "VpcCidr", type="String", name=names.network_parameter(name, "vpc-cidr"), value=cidr)
        self.price: MonthlyPrice = monthly_price(egress)
        if egress != "none":
            Annotations.of(self).add_info(f"network {name}, egress {egress}: {self.price.sentence}")

    @property
    def monthly_price_usd(self) -> float:
        """Fixed price in USD a month (an estimate; `price` says of what and when)."""
        return self.price.usd

    def _tags(self, part: str) -> list[CfnTag]:
        return [CfnTag(key="Name", value=f"labcycle-network-{self._name}{part}")]

    def _subnet(self, kind: str, zone: str, cidr: str) -> tuple[ec2.CfnSubnet, ec2.CfnRouteTable]:
        place = f"{kind}{zone.rsplit('-', 1)[-1]}"
        tags = self._tags(f"-{kind.lower()}-{zone}")
        subnet = ec2.CfnSubnet(
            self,
            f"{place}Subnet",
            vpc_id=self._network.ref,
            availability_zone=zone,
            cidr_block=cidr,
            map_public_ip_on_launch=False,
            tags=tags,
        )
        Validations.of(subnet).acknowledge(
            Acknowledgment(id="CloudFormation-Validate::W3010", reason="zones are given, so that none are looked up")
        )
        table = ec2.CfnRouteTable(self, f"{place}Routes", vpc_id=self._network.ref, tags=tags)
        ec2.CfnSubnetRouteTableAssociation(self, f"{place}Association", subnet_id=subnet.ref, route_table_id=table.ref)
        return subnet, table

    def _way_out(self, zones: Sequence[str], public: str, private_tables: Sequence[str]) -> None:
        gateway = ec2.CfnInternetGateway(self, "InternetGateway", tags=self._tags(""))
        attachment = ec2.CfnVPCGatewayAttachment(
            self, "InternetGatewayAttachment", vpc_id=self._network.ref, internet_gateway_id=gateway.ref
        )
        subnet, table = self._subnet("Public", zones[0], public)
        out = ec2.CfnRoute(
            self, "PublicWayOut", route_table_id=table.ref, destination_cidr_block="0.0.0.0/0", gateway_id=gateway.ref
        )
        out.add_resource_dependency(attachment)
        address = ec2.CfnEIP(self, "NatAddress", domain="vpc", tags=self._tags("-nat"))
        address.add_resource_dependency(attachment)
        nat = ec2.CfnNatGateway(
            self, "Nat", subnet_id=subnet.ref, allocation_id=address.attr_allocation_id, tags=self._tags("")
        )
        nat.add_resource_dependency(out)
        for zone, private in zip(zones, private_tables, strict=True):
            ec2.CfnRoute(
                self,
                f"WayOut{zone.rsplit('-', 1)[-1]}",
                route_table_id=private,
                destination_cidr_block="0.0.0.0/0",
                nat_gateway_id=nat.ref,
            )

    def _endpoints(self, tables: Sequence[str]) -> None:
        for name, service in (("S3", "s3"), ("DynamoDb", "dynamodb")):
            ec2.CfnVPCEndpoint(
                self,
                f"{name}Endpoint",
                vpc_id=self._network.ref,
                service_name=f"com.amazonaws.{Stack.of(self).region}.{service}",
                vpc_endpoint_type="Gateway",
                route_table_ids=list(tables),
            )

    def _flow_logs(self) -> s3.IBucket:
        bucket = s3.Bucket(
            self,
            "FlowLogs",
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="expire", expiration=FLOW_LOGS_KEPT, abort_incomplete_multipart_upload_after=Duration.days(1)
                )
            ],
            removal_policy=RemovalPolicy.RETAIN,
        )
        acknowledge(
            bucket,
            bucket_versioned="The delivery service alone writes here, each file once under a name of its own.",
            AwsSolutions_S1="The flow logs show who reaches the network; logs of their own delivery would tell nothing more.",
        )
        stack = Stack.of(self)
        conditions = {
            "StringEquals": {"aws:SourceAccount": stack.account},
            "ArnLike": {"aws:SourceArn": f"arn:{stack.partition}:logs:{stack.region}:{stack.account}:*"},
        }
        delivery = iam.ServicePrincipal("delivery.logs.amazonaws.com")
        # The statements that the delivery service would otherwise write by itself, and then CloudFormation overwrite:
        # https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html
        for sid, action, resource in (
            ("AWSLogDeliveryWrite", "s3:PutObject", bucket.arn_for_objects(f"AWSLogs/{stack.account}/*")),
            ("AWSLogDeliveryAclCheck", "s3:GetBucketAcl", bucket.bucket_arn),
        ):
            bucket.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=sid, principals=[delivery], actions=[action], resources=[resource], conditions=conditions
                )
            )
        log = ec2.CfnFlowLog(
            self,
            "FlowLog",
            resource_id=self._network.ref,
            resource_type="VPC",
            traffic_type="ALL",
            log_destination_type="s3",
            log_destination=bucket.bucket_arn,
            max_aggregation_interval=600,
            tags=self._tags(""),
        )
        assert bucket.policy is not None
        log.node.add_dependency(bucket.policy)
        return bucket
