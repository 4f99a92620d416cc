"""What makes functions run: queues and streams that Lambda polls, and services that call without waiting."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tools.cfn_rules._intrinsics import Path, find, names
from tools.cfn_rules._rule import Resources, functions, of_type

# The property of the SAM event that names what is polled.
_POLLED_EVENTS = {
    "SQS": "Queue",
    "Kinesis": "Stream",
    "DynamoDB": "Stream",
    "MSK": "Stream",
    "DocumentDB": "Cluster",
    "MQ": "Broker",
    "SelfManagedKafka": "KafkaBootstrapServers",
}
_ASYNCHRONOUS_EVENTS = frozenset(
    {"CloudWatchEvent", "CloudWatchLogs", "EventBridgeRule", "IoTRule", "S3", "SNS", "Schedule", "ScheduleV2"}
)
# Where resources name a function that they call without waiting.
_ASYNCHRONOUS_TARGETS = {
    "AWS::Events::Rule": ("Targets", "Arn"),
    "AWS::Logs::SubscriptionFilter": ("DestinationArn",),
    "AWS::S3::Bucket": ("NotificationConfiguration", "LambdaConfigurations", "Function"),
    "AWS::SNS::Subscription": ("Endpoint",),
    "AWS::SNS::Topic": ("Subscription", "Endpoint"),
    "AWS::Scheduler::Schedule": ("Target", "Arn"),
}


@dataclass(frozen=True)
class EventSource:
    """A queue or a stream that Lambda polls for a function; ``source`` is empty for one that is not in the template."""

    function: str
    source: str
    properties: dict[str, Any]
    path: Path


def _first(value: Any, among: Resources) -> str:
    return next((name for name in names(value) if name in among), "")


def _events(resources: Resources) -> Iterator[tuple[str, dict[str, Any], Path]]:
    for function, properties, path in functions(resources):
        for name, event in properties.get("Events", {}).items():
            yield function, event, (*path, "Events", name)


def event_sources(resources: Resources) -> Iterator[EventSource]:
    """What Lambda polls, whether the template has it as an event of the function or as a mapping."""
    for _, properties, path in of_type(resources, "AWS::Lambda::EventSourceMapping"):
        function, source = (_first(properties.get(key), resources) for key in ("FunctionName", "EventSourceArn"))
        yield EventSource(function, source, properties, path)
    for function, event, path in _events(resources):
        if key := _POLLED_EVENTS.get(event["Type"]):
            properties = event.get("Properties", {})
            yield EventSource(function, _first(properties.get(key), resources), properties, (*path, "Properties"))


def queue_sources(resources: Resources) -> Iterator[tuple[EventSource, dict[str, Any]]]:
    """Those of them that are queues of the template, with the queue's properties."""
    queues = {name: properties for name, properties, _ in of_type(resources, "AWS::SQS::Queue")}
    for polled in event_sources(resources):
        if polled.source in queues:
            yield polled, queues[polled.source]


def asynchronous_calls(resources: Resources) -> Iterator[tuple[str, Path]]:
    """The functions that something calls without waiting, and where the template says so."""
    for function, event, path in _events(resources):
        if event["Type"] in _ASYNCHRONOUS_EVENTS:
            yield function, path
    called = {name: resources[name] for name, _, _ in functions(resources)}
    for kind, keys in _ASYNCHRONOUS_TARGETS.items():
        for _, properties, path in of_type(resources, kind):
            for target, where in find(properties, path, *keys):
                if function := _first(target, called):
                    yield function, where


def object_events(resources: Resources) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """A function, a bucket whose events reach it, and which: a notification's settings.

    They reach it straight, through a queue, or through a topic with a subscription of a queue.
    """
    polling = [(polled.source, polled.function) for polled, _ in queue_sources(resources)]
    subscribed = [
        (topic, function)
        for _, properties, _ in of_type(resources, "AWS::SNS::Subscription")
        for topic in names(properties.get("TopicArn"))
        for queue, function in polling
        if queue in names(properties.get("Endpoint"))
    ]
    for bucket, properties, path in of_type(resources, "AWS::S3::Bucket"):
        for one, _ in find(properties, path, "NotificationConfiguration", "LambdaConfigurations"):
            yield _first(one.get("Function"), resources), bucket, one
        for one, _ in find(properties, path, "NotificationConfiguration", "QueueConfigurations"):
            for queue, function in polling:
                if queue in names(one.get("Queue")):
                    yield function, bucket, one
        for one, _ in find(properties, path, "NotificationConfiguration", "TopicConfigurations"):
            for topic, function in subscribed:
                if topic in names(one.get("Topic")):
                    yield function, bucket, one
    for function, event, _ in _events(resources):
        if event["Type"] == "S3":
            settings = event.get("Properties", {})
            yield function, _first(settings.get("Bucket"), resources), settings
