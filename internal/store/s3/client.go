package s3

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"github.com/pipe-build/pipe/internal/diag"
	"github.com/pipe-build/pipe/internal/store"
)

const workers = 64 // that a caller may have at once

// defaultIdle is how long nothing may move on a connection. Three of them in a row,
// and what comes between, are less than the minute after which every command gives up.
const defaultIdle = 15 * time.Second

// connect returns a client, the patient one that completes uploads, and one that says whose credentials they are.
func connect(ctx context.Context, c Config) (*awss3.Client, *http.Client, *sts.Client, error) {
	opts := []func(*config.LoadOptions) error{
		config.WithHTTPClient(awshttp.NewBuildableClient().WithTransportOptions(transport(c.IdleTimeout, c.Moved))),
		config.WithLogger(logging.Nop{}), // its warnings are not for our stderr
	}
	if c.Region != "" {
		opts = append(opts, config.WithRegion(c.Region))
	}
	if c.Profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(c.Profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err != nil {
		return nil, nil, nil, badConfig(c, err)
	}
	client := awss3.NewFromConfig(cfg, func(o *awss3.Options) { configure(o, c) })
	o := client.Options()
	if err := check(c, o); err != nil {
		return nil, nil, nil, err
	}
	slow := o.HTTPClient.(*http.Client).Transport.(*http.Transport).Clone()
	transport(silences*c.IdleTimeout, c.Moved)(slow)
	return client, &http.Client{Transport: slow, CheckRedirect: redirect}, sts.NewFromConfig(cfg), nil
}

func configure(o *awss3.Options, c Config) {
	if c.Endpoint != "" {
		o.BaseEndpoint = &c.Endpoint
	}
	if o.BaseEndpoint != nil {
		o.UsePathStyle = true
		// Trailers of aws-chunked break some servers; our own header does not.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		if o.Region == "" {
			o.Region = "us-east-1"
		}
	}
	o.UsePathStyle = o.UsePathStyle || c.PathStyle
	o.Retryer = retryer()                                                     // AWS_MAX_ATTEMPTS, when set, goes before our own
	o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired // BLAKE3 sees to objects
	o.Credentials = credentials{o.Credentials}
	// The client of the SDK cannot close its idle connections.
	if b, ok := o.HTTPClient.(*awshttp.BuildableClient); ok {
		o.HTTPClient = &http.Client{Transport: b.GetTransport(), CheckRedirect: redirect}
	}
}

func check(c Config, o awss3.Options) error {
	if o.BaseEndpoint == nil && o.Region == "" {
		return diag.New(diag.Usage, "%w", store.ErrNoRegion).At(c.URL).
			Hinted("export AWS_REGION=REGION, or set region for the remote")
	}
	if o.BaseEndpoint == nil {
		return nil
	}
	if _, err := parseEndpoint(*o.BaseEndpoint); err != nil {
		return badEndpoint().At(c.URL)
	}
	return nil
}

func badConfig(c Config, err error) error {
	var profile config.SharedConfigProfileNotExistError
	if errors.As(err, &profile) {
		return diag.New(diag.Auth, "the AWS configuration has no profile %q", profile.Profile).At(c.URL).
			Hinted("aws configure list-profiles")
	}
	return diag.New(diag.Usage, "read the AWS configuration: %w", err).At(c.URL).Hinted("aws configure list")
}

// credentials marks the errors of a provider, which the SDK gives no type.
type credentials struct{ aws.CredentialsProvider }

type credentialsError struct{ error }

func (e credentialsError) Unwrap() error { return e.error }

// Retrieve implements aws.CredentialsProvider.
func (c credentials) Retrieve(ctx context.Context) (aws.Credentials, error) {
	if c.CredentialsProvider == nil {
		return aws.Credentials{}, credentialsError{errors.New("none found")}
	}
	v, err := c.CredentialsProvider.Retrieve(ctx)
	if err != nil {
		return v, credentialsError{err}
	}
	return v, nil
}

// redirect follows what keeps the method and the server. Another server must not get the token
// of a session nor the bytes of an object, and could not check a signature that is not for it.
func redirect(r *http.Request, via []*http.Request) error {
	code, from := r.Response.StatusCode, via[0].URL
	if len(via) > 5 || (code != http.StatusTemporaryRedirect && code != http.StatusPermanentRedirect) ||
		r.URL.Scheme != from.Scheme || r.URL.Host != from.Host {
		return http.ErrUseLastResponse
	}
	return nil
}

func transport(idle time.Duration, moved func()) func(*http.Transport) {
	dialer := &net.Dialer{Timeout: idle, KeepAlive: idle}
	return func(t *http.Transport) {
		t.MaxIdleConns = 2 * workers
		t.MaxIdleConnsPerHost = 2 * workers
		t.IdleConnTimeout = idle / 2 // before the deadline of the connection, lest a request meets it
		t.ForceAttemptHTTP2 = false
		t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &restless{Conn: c, idle: idle, moved: moved}, nil
		}
	}
}

// restless is a connection that breaks when no byte moves either way for a time.
type restless struct {
	net.Conn
	idle  time.Duration
	moved func()       // told of what is received, and of bodies that are sent
	sent  atomic.Int64 // bytes since the last that was received
}

// Read implements net.Conn.
func (c *restless) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.idle)); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.sent.Store(0)
		c.moved()
	}
	return n, err
}

// writeChunk is small enough that a slow line moves one in the idle time.
const writeChunk = 64 << 10

// Write implements net.Conn. A byte sent moves the deadline of a waiting Read, too.
func (c *restless) Write(p []byte) (n int, err error) {
	for {
		if err := c.SetDeadline(time.Now().Add(c.idle)); err != nil {
			return n, err
		}
		chunk := p[n:min(n+writeChunk, len(p))]
		m, err := c.Conn.Write(chunk)
		n += m
		// Not for a mere request: that a silent server is asked again is no progress.
		if c.sent.Add(int64(m)) > writeChunk {
			c.moved()
		}
		if err != nil || n == len(p) {
			return n, err
		}
	}
}
