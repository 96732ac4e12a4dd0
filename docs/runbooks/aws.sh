# Words for the runbooks. Read it into a shell that has credentials and AWS_REGION set:
#
#   STAGE=prod; . docs/runbooks/aws.sh

# named STACK TYPE ID: the real name of what a stack calls ID.
named() {
  aws cloudformation list-stack-resources --stack-name "verdict-$STAGE-$1" --output text --query \
    "StackResourceSummaries[?ResourceType=='$2' && starts_with(LogicalResourceId, '$3')].PhysicalResourceId" | tr -s '[:space:]' '\n' | grep -v '^None$' | head -n 1
}

# logs NAME [SINCE]: the log of a function (elt), or of a stream (GoodStream, QuarantineStream).
logs() {
  local stack=app
  case $1 in *Stream) stack=data ;; esac
  aws logs tail "$(named "$stack" AWS::Logs::LogGroup "$1Logs")" --since "${2:-3h}" --format short
}

# run JOB: what its schedule would do now. A job that is at work already lets it end.
run() {
  aws lambda invoke --function-name "$(named app AWS::Lambda::Function "$1Function")" --cli-read-timeout 900 \
    --cli-binary-format raw-in-base64-out --payload "{\"scheduled_time\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\"}" /dev/stderr
}

# lake: the bucket.
lake() { named data AWS::S3::Bucket LakeBucket; }

# copy DAY…: what landed on days, into ./lake, for bin/verdict on your machine.
copy() {
  local day
  for day; do
    for part in raw quarantine; do
      aws s3 sync "s3://$(lake)/$part/" "lake/$part/" --exclude '*' --include "*/event_date=$day/*" --no-progress
    done
  done
}

# ask SQL: the tables, through the workgroup for people.
ask() {
  local id state=RUNNING
  id=$(aws athena start-query-execution --work-group "verdict-$STAGE-adhoc" --query-execution-context "Database=verdict_$STAGE" \
    --query-string "$1" --query QueryExecutionId --output text)
  while [ "$state" = RUNNING ] || [ "$state" = QUEUED ]; do
    sleep 1
    state=$(aws athena get-query-execution --query-execution-id "$id" --query QueryExecution.Status.State --output text)
  done
  [ "$state" = SUCCEEDED ] || aws athena get-query-execution --query-execution-id "$id" --query QueryExecution.Status.StateChangeReason --output text
  [ "$state" = SUCCEEDED ] && aws athena get-query-results --query-execution-id "$id" --query 'ResultSet.Rows[].[Data[].VarCharValue]' --output text
}

# given_up: events that functions gave up on, with the error. They stay in the queue.
given_up() {
  aws sqs receive-message --queue-url "$(named app AWS::SQS::Queue FailedQueue)" --max-number-of-messages 10 \
    --visibility-timeout 30 --query 'Messages[].[ReceiptHandle, Body]' --output text
}
