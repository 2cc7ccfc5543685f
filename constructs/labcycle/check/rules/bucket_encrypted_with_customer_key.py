"""Every bucket of data is encrypted with a key of the account's owner."""

from __future__ import annotations

from collections.abc import Iterator

from labcycle.check.estate import Estate
from labcycle.check.resource_policies import resource_policies
from labcycle.check.rules import Violation
from labcycle.check.statements import Kind, statements_of
from labcycle.check.template import Template
from labcycle.check.values import mapping, mappings

WHY = (
    "The key of S3 opens to whoever may read the bucket: nobody can restrict it to a team, see its use or withdraw it."
)
MEND = (
    "Set SSEAlgorithm to aws:kms, KMSMasterKeyID and BucketKeyEnabled. AES256 is for buckets whose policy lets a service of AWS "
    "write, and for those with ObjectLockEnabled."
)


def check(template: Template, estate: Estate) -> Iterator[Violation]:
    for logical_id, _ in template.resources("AWS::S3::Bucket"):
        for path in _encrypted_by_s3(template, estate, logical_id):
            if not _is_locked(template, estate, logical_id) and not _takes_logs(template, estate, logical_id):
                yield Violation(logical_id, "got AES256; allowed for data is aws:kms with a KMSMasterKeyID", path)


def _encrypted_by_s3(template: Template, estate: Estate, logical_id: str) -> Iterator[str]:
    """Paths of the algorithm where it is that of S3's own keys; what is not stated is for `bucket-encrypted`."""
    encryption = mapping(estate.value(template, template.properties(logical_id).get("BucketEncryption")))
    for n, one in enumerate(mappings(encryption.get("ServerSideEncryptionConfiguration"))):
        if mapping(one.get("ServerSideEncryptionByDefault")).get("SSEAlgorithm") == "AES256":
            path = f"ServerSideEncryptionConfiguration.{n}.ServerSideEncryptionByDefault.SSEAlgorithm"
            yield f"Properties.BucketEncryption.{path}"


def _is_locked(template: Template, estate: Estate, logical_id: str) -> bool:
    """Whether it keeps records that nobody may delete: who deleted their key would."""
    return estate.text(template, template.properties(logical_id).get("ObjectLockEnabled", False)) == "true"


def _takes_logs(template: Template, estate: Estate, logical_id: str) -> bool:
    """Whether a service of AWS writes to it. S3 and load balancers deliver logs to no bucket with a customer's key.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/enable-server-access-logging.html
    https://docs.aws.amazon.com/elasticloadbalancing/latest/application/enable-access-logging.html
    """
    return any(
        statement.allows and "Service" in statement.principals and statement.covers_action("s3:PutObject")
        for policy in resource_policies(estate).get(estate.arn(template, logical_id), ())
        for statement in statements_of(policy, Kind.RESOURCE)
    )
