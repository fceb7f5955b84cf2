package s3

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

// Whose returns the ARN of the user or role that the credentials are of, as AWS says it, which every user may ask
// for. It is empty for another server: AWS does not know its users, and is not told of them.
func (s *Store) Whose(ctx context.Context) (string, error) {
	if u, err := parseEndpoint(s.endpoint); s.endpoint != "" && (err != nil || !isOwn(u)) {
		return "", nil
	}
	out, err := s.whose.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if err != nil {
		return "", s.mapped(ctx, "ask whose credentials these are", "", err)
	}
	return aws.ToString(out.Arn), nil
}

// Clock returns the server's time, to a second. Every answer has it, also one that refuses the request.
func (s *Store) Clock(ctx context.Context) (time.Time, error) {
	out, err := s.client.HeadBucket(ctx, &awss3.HeadBucketInput{Bucket: &s.bucket})
	if err == nil {
		now, _ := awsmiddleware.GetServerTime(out.ResultMetadata)
		return now, nil
	}
	var r *awshttp.ResponseError
	if errors.As(err, &r) && r.Response != nil {
		if now, err := time.Parse(time.RFC1123, r.Response.Header.Get("Date")); err == nil {
			return now, nil
		}
	}
	return time.Time{}, s.mapped(ctx, "ask for the time", "", err)
}
