#!/usr/bin/env bash
# Runs in LocalStack when it is ready: makes what `sam deploy --config-env localstack` needs. Safe to run again.
set -euo pipefail

bucket=sam-artifacts-llm-microservices
secret=llm-microservices/database

awslocal s3api head-bucket --bucket "$bucket" 2>/dev/null || awslocal s3 mb "s3://$bucket"

if awslocal secretsmanager describe-secret --secret-id "$secret" >/dev/null 2>&1; then
  awslocal secretsmanager put-secret-value --secret-id "$secret" --secret-string "$DATABASE_URL" >/dev/null
else
  awslocal secretsmanager create-secret --name "$secret" --secret-string "$DATABASE_URL" >/dev/null
fi

echo "ready to deploy: DatabaseSecretArn=$(
  awslocal secretsmanager describe-secret --secret-id "$secret" --query ARN --output text
)"
