// The sample of docs/contract.md in Go: it calls D1 with the broker's token.
package main

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/lambda"
	"github.com/aws/aws-sdk-go-v2/service/secretsmanager"
	"golang.org/x/sync/singleflight"
)

const (
	minRemaining = 30 * time.Second  // With less left, the caller waits for a better token, and gets this one if there is none.
	refreshAhead = 180 * time.Second // The broker has the next token 240-300 s ahead.
	retryAfter   = 10 * time.Second
	young        = time.Minute // D1 does not refuse a token this young because it is old: another would not help.

	readTimeout   = 10 * time.Second
	brokerTimeout = 30 * time.Second // The broker may have to ask D1 first.
	certificates  = time.Hour
)

// A token knows no String: what is printed by mistake is its address.
type token struct {
	text       string
	expiresAt  time.Time
	obtainedAt int64
}

var (
	visible      = regexp.MustCompile(`\A[!-~]+\z`)
	retryIn      = regexp.MustCompile(`\bretry_after_seconds=(\d+)`)
	errNoRecord  = errors.New("what should be a token record is none")
	errDeadToken = errors.New("the newest token has expired: look at the broker's alarms")
)

// parseToken reads a record: the secret's text, or the broker's answer. Its error holds nothing of the text.
func parseToken(text []byte) (*token, error) {
	var record struct {
		AccessToken   string `json:"access_token"`
		ExpiresAt     int64  `json:"expires_at"`
		ObtainedAt    *int64 `json:"obtained_at"`
		SchemaVersion int    `json:"schema_version"`
	}
	err := json.Unmarshal(text, &record)
	if err != nil || record.SchemaVersion != 1 || record.ObtainedAt == nil || !visible.MatchString(record.AccessToken) {
		return nil, errNoRecord
	}
	return &token{record.AccessToken, time.Unix(record.ExpiresAt, 0), *record.ObtainedAt}, nil
}

// brokerError is what the broker's function failed with.
type brokerError struct {
	code       string
	retryAfter time.Duration
}

func (e *brokerError) Error() string { return "the broker answered with " + e.code }

// Settings name what the client works with. BrokerFunction may be empty.
type Settings struct {
	Origin, TokenSecret, CertificateSecret, BrokerFunction string
}

// Client is one for the process, shared by its goroutines: it is the cache.
type Client struct {
	settings Settings
	secrets  *secretsmanager.Client
	lambda   *lambda.Client
	flights  singleflight.Group

	mutex       sync.Mutex
	clockOffset time.Duration
	held        *token
	lookAt      time.Time
	looking     bool
	refused     *token
	searchAt    time.Time

	httpMutex sync.Mutex
	http      *http.Client
	httpUntil time.Time
}

func NewClient(config aws.Config, settings Settings) *Client {
	return &Client{
		settings: settings,
		secrets:  secretsmanager.NewFromConfig(config),
		lambda:   lambda.NewFromConfig(config),
	}
}

// Get answers as D1 does. A 401 is tried again, once, if there is another token. The caller closes the body.
func (c *Client) Get(ctx context.Context, path string) (*http.Response, error) {
	if !strings.HasPrefix(path, "/") {
		return nil, errors.New("the path must begin with a slash: the token is for this origin only")
	}
	token, err := c.token(ctx)
	if err != nil {
		return nil, err
	}
	response, err := c.send(ctx, path, token)
	if err != nil || response.StatusCode != http.StatusUnauthorized {
		return response, err
	}
	replacement := c.replacementOf(ctx, token)
	if replacement == nil {
		return response, nil
	}
	response.Body.Close()
	return c.send(ctx, path, replacement)
}

// token hands out the one in memory until it is due; then one caller looks for the next.
func (c *Client) token(ctx context.Context) (*token, error) {
	if held := c.fresh(); held != nil {
		return held, nil
	}
	return c.share(ctx, "look", func() (*token, error) {
		// Somebody may have looked in between.
		if held := c.fresh(); held != nil {
			return held, nil
		}
		c.set(func() { c.looking = true })
		defer c.set(func() { c.looking = false })
		return c.look()
	})
}

// fresh is the held token if nothing needs to be done for it. While somebody looks, the others go on with one that lives.
func (c *Client) fresh() *token {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	left := c.left()
	if left > 0 && c.now().Before(c.lookAt) || left > minRemaining && c.looking {
		return c.held
	}
	return nil
}

// look asks the secret, then the broker. A failure costs nothing while a token lives.
func (c *Client) look() (*token, error) {
	c.mutex.Lock()
	before := c.held
	c.mutex.Unlock()
	failure := c.keepFrom(c.readTokenSecret)
	if c.settings.BrokerFunction != "" && c.secondsAreFew() {
		if err := c.keepFrom(func() (*token, error) { return c.askBroker(nil) }); err != nil {
			failure = err
		}
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.held == before {
		c.lookAt = c.now().Add(jittered(retryAfter))
	}
	if c.left() > 0 {
		return c.held, nil
	}
	if failure == nil {
		failure = errDeadToken
	}
	return nil, failure
}

// replacementOf is a token newer than every refused one; or nil, and then the 401 stands.
func (c *Client) replacementOf(ctx context.Context, refused *token) *token {
	c.set(func() {
		if c.refused == nil || refused.obtainedAt >= c.refused.obtainedAt {
			c.refused = refused
		}
	})
	replacement, _ := c.share(ctx, "search", func() (*token, error) { return c.search(), nil })
	return replacement
}

func (c *Client) search() *token {
	c.mutex.Lock()
	refused, waiting := c.refused, c.now().Before(c.searchAt)
	c.mutex.Unlock()
	if held := c.unrefused(); held != nil || waiting {
		return held
	}
	wait := jittered(retryAfter)
	c.keepFrom(c.readTokenSecret)
	if c.unrefused() == nil && c.settings.BrokerFunction != "" {
		err := c.keepFrom(func() (*token, error) { return c.askBroker(refused) })
		var failed *brokerError
		if errors.As(err, &failed) && failed.retryAfter > 0 {
			wait = failed.retryAfter
		} else if c.unrefused() != nil {
			wait = young
		}
	}
	found := c.unrefused()
	c.set(func() {
		c.searchAt = c.now().Add(wait)
		// The secret is read again meanwhile: somebody else's 401 may have brought a new token.
		if again := c.now().Add(jittered(retryAfter)); found == nil && again.Before(c.lookAt) {
			c.lookAt = again
		}
	})
	return found
}

// keepFrom keeps the better of two tokens: not refused, then longer-lived.
func (c *Client) keepFrom(source func() (*token, error)) error {
	found, err := source()
	if err != nil {
		slog.Warn("no token", "why", err)
		return err
	}
	c.set(func() {
		if c.held == nil || c.isBetter(found, c.held) {
			c.held = found
			c.lookAt = found.expiresAt.Add(-time.Duration(float64(refreshAhead) * (0.75 + rand.Float64()/4)))
		}
	})
	return nil
}

func (c *Client) isBetter(one, other *token) bool {
	if c.isRefused(one) != c.isRefused(other) {
		return c.isRefused(other)
	}
	return one.expiresAt.After(other.expiresAt)
}

// isRefused compares the text too: D1 may give the same token again, and that is obtained later.
func (c *Client) isRefused(t *token) bool {
	return c.refused != nil && (t.obtainedAt <= c.refused.obtainedAt || t.text == c.refused.text)
}

func (c *Client) readTokenSecret() (*token, error) {
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	secret, err := c.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &c.settings.TokenSecret})
	if err != nil {
		return nil, err
	}
	// expires_at is counted on AWS's clock, and every answer tells its time to the second.
	if date, ok := awsmiddleware.GetServerTime(secret.ResultMetadata); ok {
		c.set(func() { c.clockOffset = time.Until(date) })
	}
	return parseToken([]byte(aws.ToString(secret.SecretString)))
}

func (c *Client) askBroker(refused *token) (*token, error) {
	event := map[string]any{"action": "token", "min_remaining_seconds": int(minRemaining.Seconds())}
	if refused != nil {
		event["newer_than"] = refused.obtainedAt
		event["refused"] = fmt.Sprintf("%x", sha256.Sum256([]byte(refused.text)))[:16]
	}
	payload, err := json.Marshal(event)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), brokerTimeout)
	defer cancel()
	answer, err := c.lambda.Invoke(ctx, &lambda.InvokeInput{FunctionName: &c.settings.BrokerFunction, Payload: payload})
	if err != nil {
		return nil, err
	}
	if answer.FunctionError == nil {
		return parseToken(answer.Payload)
	}
	var failure struct{ ErrorType, ErrorMessage string }
	_ = json.Unmarshal(answer.Payload, &failure) // Whatever it is, it is a failure.
	failed := &brokerError{code: failure.ErrorType}
	if named := retryIn.FindStringSubmatch(failure.ErrorMessage); named != nil {
		seconds, _ := strconv.Atoi(named[1])
		failed.retryAfter = time.Duration(min(seconds, 60)) * time.Second
	}
	return nil, failed
}

// share has the work done once for all who come meanwhile. It goes on when a caller leaves: its context is that caller's alone.
func (c *Client) share(ctx context.Context, name string, work func() (*token, error)) (*token, error) {
	done := c.flights.DoChan(name, func() (any, error) { return work() })
	select {
	case result := <-done:
		found, _ := result.Val.(*token)
		return found, result.Err
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (c *Client) set(change func()) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	change()
}

func (c *Client) unrefused() *token {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.held == nil || c.isRefused(c.held) {
		return nil
	}
	return c.held
}

func (c *Client) secondsAreFew() bool {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.left() <= minRemaining
}

// now and left want the mutex held.
func (c *Client) now() time.Time { return time.Now().Add(c.clockOffset) }

func (c *Client) left() time.Duration {
	if c.held == nil {
		return 0
	}
	return c.held.expiresAt.Sub(c.now())
}

func (c *Client) send(ctx context.Context, path string, t *token) (*http.Response, error) {
	client, err := c.mutualTLS(ctx)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.settings.Origin+path, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Authorization", "Bearer "+t.text)
	return client.Do(request)
}

// mutualTLS shows the client certificate, which is read every hour, so a renewal needs no restart.
func (c *Client) mutualTLS(ctx context.Context) (*http.Client, error) {
	c.httpMutex.Lock()
	defer c.httpMutex.Unlock()
	if c.http != nil && time.Now().Before(c.httpUntil) {
		return c.http, nil
	}
	client, err := c.readCertificate(ctx)
	if err != nil {
		if c.http == nil {
			return nil, err
		}
		slog.Warn("the client certificate was not read again", "why", err)
		c.httpUntil = time.Now().Add(jittered(retryAfter))
		return c.http, nil
	}
	c.http, c.httpUntil = client, time.Now().Add(certificates)
	return client, nil
}

func (c *Client) readCertificate(ctx context.Context) (*http.Client, error) {
	value, err := c.secrets.GetSecretValue(ctx, &secretsmanager.GetSecretValueInput{SecretId: &c.settings.CertificateSecret})
	if err != nil {
		return nil, err
	}
	var secret struct {
		Certificate string
		PrivateKey  string `json:"private_key"`
		CABundle    string `json:"ca_bundle"`
	}
	if json.Unmarshal([]byte(aws.ToString(value.SecretString)), &secret) != nil {
		return nil, errors.New("the secret holds no client certificate")
	}
	pair, err := tls.X509KeyPair([]byte(secret.Certificate), []byte(secret.PrivateKey))
	if err != nil {
		return nil, err
	}
	config := &tls.Config{Certificates: []tls.Certificate{pair}}
	if secret.CABundle != "" {
		config.RootCAs = x509.NewCertPool()
		config.RootCAs.AppendCertsFromPEM([]byte(secret.CABundle))
	}
	return &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{TLSClientConfig: config, MaxIdleConnsPerHost: 32, IdleConnTimeout: 30 * time.Second},
		// No redirects: they would take what was written for D1 elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func jittered(d time.Duration) time.Duration {
	return time.Duration(float64(d) * (0.5 + rand.Float64()))
}
