"""What holds state keeps its name in the template: a stack of an earlier version is updated, not emptied."""

import pytest
from tests.unit.functions.template import template

# What deployed stacks have. CloudFormation makes a resource of another name or type anew, and the old one's content is
# gone, or stays behind where nobody looks.
DEPLOYED = {
    "Api": "AWS::Serverless::Api",  # its id is in the clients' URL
    "CursorSecret": "AWS::SecretsManager::Secret",
    "DatabaseMigration": "Custom::DatabaseMigration",
    "IdempotencyTable": "AWS::DynamoDB::Table",
    "ImageBucket": "AWS::S3::Bucket",
    "ImageRecordDeadLetters": "AWS::SQS::Queue",
    "ImageRecordQueue": "AWS::SQS::Queue",
    "JwksParameter": "AWS::SSM::Parameter",
    "PurgeDeadLetters": "AWS::SQS::Queue",
    "RateLimitTable": "AWS::DynamoDB::Table",
    "SigningKey": "Custom::SigningKey",
    "SigningSecret": "AWS::SecretsManager::Secret",
    "TtsBucket": "AWS::S3::Bucket",
    "TtsRecordDeadLetters": "AWS::SQS::Queue",
    "TtsRecordQueue": "AWS::SQS::Queue",
}
# What of them replaces the resource when it changes: buckets by their name, tables by their key, the parameter.
REPLACING = {
    "ImageBucket": ("BucketName", "llmhist-image-${Stage}${Suffix}"),
    "TtsBucket": ("BucketName", "llmhist-tts-${Stage}${Suffix}"),
    "RateLimitTable": ("KeySchema", [{"AttributeName": "id", "KeyType": "HASH"}]),
    "IdempotencyTable": ("KeySchema", [{"AttributeName": "id", "KeyType": "HASH"}]),
    "JwksParameter": ("Name", "/llm-microservices/${AWS::StackName}/jwks"),
}
GENERATED_NAMES = {"Name", "QueueName", "TableName"}


def test_what_holds_state_keeps_its_logical_id_and_type() -> None:
    resources = template()["Resources"]

    assert {name: resources.get(name, {}).get("Type") for name in DEPLOYED} == DEPLOYED


@pytest.mark.parametrize("name", REPLACING)
def test_what_would_replace_it_is_as_deployed(name: str) -> None:
    key, value = REPLACING[name]
    found = template()["Resources"][name]["Properties"][key]
    while isinstance(found, dict):
        (found,) = found.values()
    assert value in (found, found[0])


@pytest.mark.parametrize("name", sorted(DEPLOYED.keys() - REPLACING.keys() - {"Api"}))
def test_what_has_a_generated_name_does_not_get_another(name: str) -> None:
    assert not GENERATED_NAMES & template()["Resources"][name]["Properties"].keys()
