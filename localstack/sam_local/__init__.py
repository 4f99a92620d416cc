"""SAM's local gateway, `sam local start-api`, in front of the running platform: functions in Lambda's containers."""
