import { type Cell, type Entry, entries } from './cells.ts';

/**
 * What must come of every cell, written down and thought over by people. matrix.test.ts runs every cell and compares, so this
 * is the evidence too. Each cell begins with an ageing token, 200 s left. `once`: the first call alone fails; `always`: all
 * do, as in an outage. The SDK's delays between its tries, real time, are left out. `impostor`: D1's certificate comes from an
 * unknown authority; `distrusted`: D1 does not know ours; `repeat`: nothing fails. In every cell of `repeated_token` D1 gives
 * the token that is in the secret again, until its end. Each line is: the way in, then
 * - the outcome: why it refreshed or where the token came from (success), or the error code;
 * - what is in the secret then: the `old` token or the `new` one; `+empty` and `+pending`: a rotation's version without and
 *   with its token; `+label`: the current version is still labelled AWSPENDING;
 * - how often each call arrived, retries included: reads of the token secret · reads of the certificate secret · signatures
 *   · token requests · writes; for rotation steps, DescribeSecret comes before them, and the last two steps have only
 *   DescribeSecret · reads · moves of labels; for readers without a broker, reads;
 * - the time that it took on the injected clock;
 * - `!` and the code of each warning.
 */
const table = `
read_secret, once: delay
  tick:              due new 1·1·1·1·1 3s
  direct:            exchange new 1·1·1·1·1 3s
  forced:            exchange new 1·1·1·1·1 3s

read_secret, once: throttle unavailable reset lost hang
  tick:              due new 2·1·1·1·1 0s
  direct:            exchange new 2·1·1·1·1 0s
  forced:            exchange new 2·1·1·1·1 0s

read_secret, once: refuse
  tick:              TOKEN_STORE_DENIED old 1·0·0·0·0 0s
  direct:            exchange old 1·1·1·1·0 0s !TOKEN_STORE_DENIED
  forced:            exchange old 1·1·1·1·0 0s !TOKEN_STORE_DENIED

read_secret, once: garbage
  tick:              TOKEN_STORE_UNAVAILABLE old 1·0·0·0·0 0s
  direct:            exchange old 1·1·1·1·0 0s !TOKEN_STORE_UNAVAILABLE
  forced:            exchange old 1·1·1·1·0 0s !TOKEN_STORE_UNAVAILABLE

read_secret, always: throttle
  tick:              TOKEN_STORE_THROTTLED old 3·0·0·0·0 0s
  direct:            exchange old 3·1·1·1·0 0s !TOKEN_STORE_THROTTLED
  forced:            exchange old 3·1·1·1·0 0s !TOKEN_STORE_THROTTLED

read_secret, always: refuse
  tick:              TOKEN_STORE_DENIED old 1·0·0·0·0 0s
  direct:            exchange old 1·1·1·1·0 0s !TOKEN_STORE_DENIED
  forced:            exchange old 1·1·1·1·0 0s !TOKEN_STORE_DENIED

read_secret, always: unavailable reset lost hang
  tick:              TOKEN_STORE_UNAVAILABLE old 3·0·0·0·0 0s
  direct:            exchange old 3·1·1·1·0 0s !TOKEN_STORE_UNAVAILABLE
  forced:            exchange old 3·1·1·1·0 0s !TOKEN_STORE_UNAVAILABLE

read_secret, always: garbage
  tick:              TOKEN_STORE_UNAVAILABLE old 1·0·0·0·0 0s
  direct:            exchange old 1·1·1·1·0 0s !TOKEN_STORE_UNAVAILABLE
  forced:            exchange old 1·1·1·1·0 0s !TOKEN_STORE_UNAVAILABLE

load_certificate, once: delay
  tick:              due new 1·1·1·1·1 3s
  direct:            exchange new 1·1·1·1·1 3s
  forced:            exchange new 1·1·1·1·1 3s
  createSecret:      done old+pending 1·2·1·1·1·1 3s

load_certificate, once: throttle unavailable reset lost hang
  tick:              due new 1·2·1·1·1 0s
  direct:            exchange new 1·2·1·1·1 0s
  forced:            exchange new 1·2·1·1·1 0s
  createSecret:      done old+pending 1·2·2·1·1·1 0s

load_certificate, once: refuse garbage
  tick:              CLIENT_CERTIFICATE_UNAVAILABLE old 1·1·1·0·0 0s
  direct:            secret old 1·1·1·0·0 0s !CLIENT_CERTIFICATE_UNAVAILABLE
  forced:            secret old 1·1·1·0·0 0s !CLIENT_CERTIFICATE_UNAVAILABLE
  createSecret:      CLIENT_CERTIFICATE_UNAVAILABLE old+empty 1·2·1·1·0·0 0s

load_certificate, always: throttle unavailable reset lost hang
  tick:              CLIENT_CERTIFICATE_UNAVAILABLE old 1·3·1·0·0 0s
  direct:            secret old 1·3·1·0·0 0s !CLIENT_CERTIFICATE_UNAVAILABLE
  forced:            secret old 1·3·1·0·0 0s !CLIENT_CERTIFICATE_UNAVAILABLE
  createSecret:      CLIENT_CERTIFICATE_UNAVAILABLE old+empty 1·2·3·1·0·0 0s

load_certificate, always: refuse garbage
  tick:              CLIENT_CERTIFICATE_UNAVAILABLE old 1·1·1·0·0 0s
  direct:            secret old 1·1·1·0·0 0s !CLIENT_CERTIFICATE_UNAVAILABLE
  forced:            secret old 1·1·1·0·0 0s !CLIENT_CERTIFICATE_UNAVAILABLE
  createSecret:      CLIENT_CERTIFICATE_UNAVAILABLE old+empty 1·2·1·1·0·0 0s

connect, once: delay
  tick:              due new 1·1·1·1·1 3s
  direct:            exchange new 1·1·1·1·1 3s
  forced:            exchange new 1·1·1·1·1 3s
  createSecret:      done old+pending 1·2·1·1·1·1 3s

connect, once: refuse reset
  tick:              due new 1·2·2·1·1 0.1s
  direct:            exchange new 1·2·2·1·1 0.1s
  forced:            exchange new 1·2·2·1·1 0.1s
  createSecret:      done old+pending 1·2·2·2·1·1 0.1s

connect, once: garbage
  tick:              due new 1·1·2·1·1 0.1s
  direct:            exchange new 1·1·2·1·1 0.1s
  forced:            exchange new 1·1·2·1·1 0.1s
  createSecret:      done old+pending 1·2·1·2·1·1 0.1s

connect, once: hang
  tick:              due new 1·1·2·1·1 10.1s
  direct:            exchange new 1·1·2·1·1 10.1s
  forced:            exchange new 1·1·2·1·1 10.1s
  createSecret:      done old+pending 1·2·1·2·1·1 10.1s

connect, always: refuse reset distrusted
  tick:              TOKEN_ENDPOINT_UNREACHABLE old 1·2·3·0·0 0.3s
  direct:            secret old 1·2·3·0·0 0.3s !TOKEN_ENDPOINT_UNREACHABLE
  forced:            secret old 1·2·3·0·0 0.3s !TOKEN_ENDPOINT_UNREACHABLE
  createSecret:      TOKEN_ENDPOINT_UNREACHABLE old+empty 1·2·2·3·0·0 0.3s

connect, always: garbage
  tick:              TOKEN_ENDPOINT_UNREACHABLE old 1·1·3·0·0 0.3s
  direct:            secret old 1·1·3·0·0 0.3s !TOKEN_ENDPOINT_UNREACHABLE
  forced:            secret old 1·1·3·0·0 0.3s !TOKEN_ENDPOINT_UNREACHABLE
  createSecret:      TOKEN_ENDPOINT_UNREACHABLE old+empty 1·2·1·3·0·0 0.3s

connect, always: hang
  tick:              TOKEN_ENDPOINT_UNREACHABLE old 1·1·3·0·0 30.3s
  direct:            secret old 1·1·3·0·0 30.3s !TOKEN_ENDPOINT_UNREACHABLE
  forced:            secret old 1·1·3·0·0 30.3s !TOKEN_ENDPOINT_UNREACHABLE
  createSecret:      TOKEN_ENDPOINT_UNREACHABLE old+empty 1·2·1·3·0·0 30.3s

connect, always: impostor
  tick:              TOKEN_ENDPOINT_UNREACHABLE old 1·2·1·0·0 0s
  direct:            secret old 1·2·1·0·0 0s !TOKEN_ENDPOINT_UNREACHABLE
  forced:            secret old 1·2·1·0·0 0s !TOKEN_ENDPOINT_UNREACHABLE
  createSecret:      TOKEN_ENDPOINT_UNREACHABLE old+empty 1·2·2·1·0·0 0s

sign, once: delay
  tick:              due new 1·1·1·1·1 3s
  direct:            exchange new 1·1·1·1·1 3s
  forced:            exchange new 1·1·1·1·1 3s
  createSecret:      done old+pending 1·2·1·1·1·1 3s

sign, once: throttle unavailable reset lost hang
  tick:              due new 1·1·2·1·1 0s
  direct:            exchange new 1·1·2·1·1 0s
  forced:            exchange new 1·1·2·1·1 0s
  createSecret:      done old+pending 1·2·1·2·1·1 0s

sign, once: refuse garbage
  tick:              SIGNING_FAILED old 1·1·1·0·0 0s
  direct:            secret old 1·1·1·0·0 0s !SIGNING_FAILED
  forced:            secret old 1·1·1·0·0 0s !SIGNING_FAILED
  createSecret:      SIGNING_FAILED old+empty 1·2·1·1·0·0 0s

sign, always: throttle unavailable reset lost hang
  tick:              SIGNING_FAILED old 1·1·3·0·0 0s
  direct:            secret old 1·1·3·0·0 0s !SIGNING_FAILED
  forced:            secret old 1·1·3·0·0 0s !SIGNING_FAILED
  createSecret:      SIGNING_FAILED old+empty 1·2·1·3·0·0 0s

sign, always: refuse garbage
  tick:              SIGNING_FAILED old 1·1·1·0·0 0s
  direct:            secret old 1·1·1·0·0 0s !SIGNING_FAILED
  forced:            secret old 1·1·1·0·0 0s !SIGNING_FAILED
  createSecret:      SIGNING_FAILED old+empty 1·2·1·1·0·0 0s

exchange, once: delay
  tick:              due new 1·1·1·1·1 3s
  direct:            exchange new 1·1·1·1·1 3s
  forced:            exchange new 1·1·1·1·1 3s
  createSecret:      done old+pending 1·2·1·1·1·1 3s

exchange, once: throttle
  tick:              due new 1·1·2·2·1 5.1s
  direct:            exchange new 1·1·2·2·1 5.1s
  forced:            exchange new 1·1·2·2·1 5.1s
  createSecret:      done old+pending 1·2·1·2·2·1 5.1s

exchange, once: refuse
  tick:              TOKEN_ENDPOINT_REJECTED old 1·2·1·1·0 0s
  direct:            secret old 1·2·1·1·0 0s !TOKEN_ENDPOINT_REJECTED
  forced:            secret old 1·2·1·1·0 0s !TOKEN_ENDPOINT_REJECTED
  createSecret:      TOKEN_ENDPOINT_REJECTED old+empty 1·2·2·1·1·0 0s

exchange, once: unavailable reset garbage
  tick:              due new 1·1·2·2·1 0.1s
  direct:            exchange new 1·1·2·2·1 0.1s
  forced:            exchange new 1·1·2·2·1 0.1s
  createSecret:      done old+pending 1·2·1·2·2·1 0.1s

exchange, once: lost
  tick:              due new 1·2·2·2·1 0.1s
  direct:            exchange new 1·2·2·2·1 0.1s
  forced:            exchange new 1·2·2·2·1 0.1s
  createSecret:      done old+pending 1·2·2·2·2·1 0.1s

exchange, once: hang
  tick:              due new 1·1·2·2·1 15.1s
  direct:            exchange new 1·1·2·2·1 15.1s
  forced:            exchange new 1·1·2·2·1 15.1s
  createSecret:      done old+pending 1·2·1·2·2·1 15.1s

exchange, always: throttle
  tick:              TOKEN_ENDPOINT_UNREACHABLE old 1·1·3·3·0 10.3s
  direct:            secret old 1·1·3·3·0 10.3s !TOKEN_ENDPOINT_UNREACHABLE
  forced:            secret old 1·1·3·3·0 10.3s !TOKEN_ENDPOINT_UNREACHABLE
  createSecret:      TOKEN_ENDPOINT_UNREACHABLE old+empty 1·2·1·3·3·0 10.3s

exchange, always: refuse
  tick:              TOKEN_ENDPOINT_REJECTED old 1·2·1·1·0 0s
  direct:            secret old 1·2·1·1·0 0s !TOKEN_ENDPOINT_REJECTED
  forced:            secret old 1·2·1·1·0 0s !TOKEN_ENDPOINT_REJECTED
  createSecret:      TOKEN_ENDPOINT_REJECTED old+empty 1·2·2·1·1·0 0s

exchange, always: unavailable reset
  tick:              TOKEN_ENDPOINT_UNREACHABLE old 1·1·3·3·0 0.3s
  direct:            secret old 1·1·3·3·0 0.3s !TOKEN_ENDPOINT_UNREACHABLE
  forced:            secret old 1·1·3·3·0 0.3s !TOKEN_ENDPOINT_UNREACHABLE
  createSecret:      TOKEN_ENDPOINT_UNREACHABLE old+empty 1·2·1·3·3·0 0.3s

exchange, always: garbage
  tick:              TOKEN_RESPONSE_INVALID old 1·1·3·3·0 0.3s
  direct:            secret old 1·1·3·3·0 0.3s !TOKEN_RESPONSE_INVALID
  forced:            secret old 1·1·3·3·0 0.3s !TOKEN_RESPONSE_INVALID
  createSecret:      TOKEN_RESPONSE_INVALID old+empty 1·2·1·3·3·0 0.3s

exchange, always: lost
  tick:              TOKEN_ENDPOINT_UNREACHABLE old 1·2·3·3·0 0.3s
  direct:            secret old 1·2·3·3·0 0.3s !TOKEN_ENDPOINT_UNREACHABLE
  forced:            secret old 1·2·3·3·0 0.3s !TOKEN_ENDPOINT_UNREACHABLE
  createSecret:      TOKEN_ENDPOINT_UNREACHABLE old+empty 1·2·2·3·3·0 0.3s

exchange, always: hang
  tick:              TOKEN_ENDPOINT_UNREACHABLE old 1·1·3·3·0 45.3s
  direct:            secret old 1·1·3·3·0 45.3s !TOKEN_ENDPOINT_UNREACHABLE
  forced:            secret old 1·1·3·3·0 45.3s !TOKEN_ENDPOINT_UNREACHABLE
  createSecret:      TOKEN_ENDPOINT_UNREACHABLE old+empty 1·2·1·3·3·0 45.3s

repeated_token, always: repeat
  tick:              unchanged old 1·1·1·1·0 0s
  direct:            secret old 1·1·1·1·0 0s
  forced:            secret old 1·1·1·1·0 0s !REPLACEMENT_NOT_READY
  createSecret:      done old+pending 1·2·1·1·1·1 0s

repeated_token, once: delay
  tick:              unchanged old 1·1·1·1·0 3s
  direct:            secret old 1·1·1·1·0 3s
  forced:            secret old 1·1·1·1·0 3s !REPLACEMENT_NOT_READY
  createSecret:      done old+pending 1·2·1·1·1·1 3s

repeated_token, once: throttle
  tick:              unchanged old 1·1·2·2·0 5.1s
  direct:            secret old 1·1·2·2·0 5.1s
  forced:            secret old 1·1·2·2·0 5.1s !REPLACEMENT_NOT_READY
  createSecret:      done old+pending 1·2·1·2·2·1 5.1s

repeated_token, once: refuse
  tick:              TOKEN_ENDPOINT_REJECTED old 1·2·1·1·0 0s
  direct:            secret old 1·2·1·1·0 0s !TOKEN_ENDPOINT_REJECTED
  forced:            secret old 1·2·1·1·0 0s !TOKEN_ENDPOINT_REJECTED
  createSecret:      TOKEN_ENDPOINT_REJECTED old+empty 1·2·2·1·1·0 0s

repeated_token, once: unavailable reset garbage
  tick:              unchanged old 1·1·2·2·0 0.1s
  direct:            secret old 1·1·2·2·0 0.1s
  forced:            secret old 1·1·2·2·0 0.1s !REPLACEMENT_NOT_READY
  createSecret:      done old+pending 1·2·1·2·2·1 0.1s

repeated_token, once: lost
  tick:              unchanged old 1·2·2·2·0 0.1s
  direct:            secret old 1·2·2·2·0 0.1s
  forced:            secret old 1·2·2·2·0 0.1s !REPLACEMENT_NOT_READY
  createSecret:      done old+pending 1·2·2·2·2·1 0.1s

repeated_token, once: hang
  tick:              unchanged old 1·1·2·2·0 15.1s
  direct:            secret old 1·1·2·2·0 15.1s
  forced:            secret old 1·1·2·2·0 15.1s !REPLACEMENT_NOT_READY
  createSecret:      done old+pending 1·2·1·2·2·1 15.1s

repeated_token, always: throttle
  tick:              TOKEN_ENDPOINT_UNREACHABLE old 1·1·3·3·0 10.3s
  direct:            secret old 1·1·3·3·0 10.3s !TOKEN_ENDPOINT_UNREACHABLE
  forced:            secret old 1·1·3·3·0 10.3s !TOKEN_ENDPOINT_UNREACHABLE
  createSecret:      TOKEN_ENDPOINT_UNREACHABLE old+empty 1·2·1·3·3·0 10.3s

repeated_token, always: refuse
  tick:              TOKEN_ENDPOINT_REJECTED old 1·2·1·1·0 0s
  direct:            secret old 1·2·1·1·0 0s !TOKEN_ENDPOINT_REJECTED
  forced:            secret old 1·2·1·1·0 0s !TOKEN_ENDPOINT_REJECTED
  createSecret:      TOKEN_ENDPOINT_REJECTED old+empty 1·2·2·1·1·0 0s

repeated_token, always: unavailable reset
  tick:              TOKEN_ENDPOINT_UNREACHABLE old 1·1·3·3·0 0.3s
  direct:            secret old 1·1·3·3·0 0.3s !TOKEN_ENDPOINT_UNREACHABLE
  forced:            secret old 1·1·3·3·0 0.3s !TOKEN_ENDPOINT_UNREACHABLE
  createSecret:      TOKEN_ENDPOINT_UNREACHABLE old+empty 1·2·1·3·3·0 0.3s

repeated_token, always: garbage
  tick:              TOKEN_RESPONSE_INVALID old 1·1·3·3·0 0.3s
  direct:            secret old 1·1·3·3·0 0.3s !TOKEN_RESPONSE_INVALID
  forced:            secret old 1·1·3·3·0 0.3s !TOKEN_RESPONSE_INVALID
  createSecret:      TOKEN_RESPONSE_INVALID old+empty 1·2·1·3·3·0 0.3s

repeated_token, always: lost
  tick:              TOKEN_ENDPOINT_UNREACHABLE old 1·2·3·3·0 0.3s
  direct:            secret old 1·2·3·3·0 0.3s !TOKEN_ENDPOINT_UNREACHABLE
  forced:            secret old 1·2·3·3·0 0.3s !TOKEN_ENDPOINT_UNREACHABLE
  createSecret:      TOKEN_ENDPOINT_UNREACHABLE old+empty 1·2·2·3·3·0 0.3s

repeated_token, always: hang
  tick:              TOKEN_ENDPOINT_UNREACHABLE old 1·1·3·3·0 45.3s
  direct:            secret old 1·1·3·3·0 45.3s !TOKEN_ENDPOINT_UNREACHABLE
  forced:            secret old 1·1·3·3·0 45.3s !TOKEN_ENDPOINT_UNREACHABLE
  createSecret:      TOKEN_ENDPOINT_UNREACHABLE old+empty 1·2·1·3·3·0 45.3s

write_secret, once: delay
  tick:              due new 1·1·1·1·1 3s
  direct:            exchange new 1·1·1·1·1 3s
  forced:            exchange new 1·1·1·1·1 3s
  createSecret:      done old+pending 1·2·1·1·1·1 3s

write_secret, once: throttle unavailable reset lost hang
  tick:              due new 1·1·1·1·2 0s
  direct:            exchange new 1·1·1·1·2 0s
  forced:            exchange new 1·1·1·1·2 0s
  createSecret:      done old+pending 1·2·1·1·1·2 0s

write_secret, once: refuse
  tick:              TOKEN_STORE_DENIED old 1·1·1·1·1 0s
  direct:            exchange old 1·1·1·1·1 0s !TOKEN_STORE_DENIED
  forced:            exchange old 1·1·1·1·1 0s !TOKEN_STORE_DENIED
  createSecret:      TOKEN_STORE_DENIED old+empty 1·2·1·1·1·1 0s

write_secret, once: garbage
  tick:              TOKEN_STORE_UNAVAILABLE old 1·1·1·1·1 0s
  direct:            exchange old 1·1·1·1·1 0s !TOKEN_STORE_UNAVAILABLE
  forced:            exchange old 1·1·1·1·1 0s !TOKEN_STORE_UNAVAILABLE
  createSecret:      TOKEN_STORE_UNAVAILABLE old+empty 1·2·1·1·1·1 0s

write_secret, always: throttle
  tick:              TOKEN_STORE_THROTTLED old 1·1·1·1·3 0s
  direct:            exchange old 1·1·1·1·3 0s !TOKEN_STORE_THROTTLED
  forced:            exchange old 1·1·1·1·3 0s !TOKEN_STORE_THROTTLED
  createSecret:      TOKEN_STORE_THROTTLED old+empty 1·2·1·1·1·3 0s

write_secret, always: refuse
  tick:              TOKEN_STORE_DENIED old 1·1·1·1·1 0s
  direct:            exchange old 1·1·1·1·1 0s !TOKEN_STORE_DENIED
  forced:            exchange old 1·1·1·1·1 0s !TOKEN_STORE_DENIED
  createSecret:      TOKEN_STORE_DENIED old+empty 1·2·1·1·1·1 0s

write_secret, always: unavailable hang
  tick:              TOKEN_STORE_UNAVAILABLE old 1·1·1·1·3 0s
  direct:            exchange old 1·1·1·1·3 0s !TOKEN_STORE_UNAVAILABLE
  forced:            exchange old 1·1·1·1·3 0s !TOKEN_STORE_UNAVAILABLE
  createSecret:      TOKEN_STORE_UNAVAILABLE old+empty 1·2·1·1·1·3 0s

write_secret, always: reset lost
  tick:              TOKEN_STORE_UNAVAILABLE new 1·1·1·1·3 0s
  direct:            exchange new 1·1·1·1·3 0s !TOKEN_STORE_UNAVAILABLE
  forced:            exchange new 1·1·1·1·3 0s !TOKEN_STORE_UNAVAILABLE
  createSecret:      TOKEN_STORE_UNAVAILABLE old+pending 1·2·1·1·1·3 0s

write_secret, always: garbage
  tick:              TOKEN_STORE_UNAVAILABLE old 1·1·1·1·1 0s
  direct:            exchange old 1·1·1·1·1 0s !TOKEN_STORE_UNAVAILABLE
  forced:            exchange old 1·1·1·1·1 0s !TOKEN_STORE_UNAVAILABLE
  createSecret:      TOKEN_STORE_UNAVAILABLE old+empty 1·2·1·1·1·1 0s

describe_secret, once: delay
  createSecret:      done old+pending 1·2·1·1·1·1 3s
  testSecret:        done old+pending 1·1 3s
  finishSecret:      done new 2·2·2 3s

describe_secret, once: throttle unavailable reset lost hang
  createSecret:      done old+pending 2·2·1·1·1·1 0s
  testSecret:        done old+pending 2·1 0s
  finishSecret:      done new 3·2·2 0s

describe_secret, once: refuse
  createSecret:      TOKEN_STORE_DENIED old+empty 1·0·0·0·0·0 0s
  testSecret:        TOKEN_STORE_DENIED old+pending 1·0 0s
  finishSecret:      TOKEN_STORE_DENIED old+pending 1·0·0 0s

describe_secret, once: garbage
  createSecret:      TOKEN_STORE_UNAVAILABLE old+empty 1·0·0·0·0·0 0s
  testSecret:        TOKEN_STORE_UNAVAILABLE old+pending 1·0 0s
  finishSecret:      TOKEN_STORE_UNAVAILABLE old+pending 1·0·0 0s

describe_secret, always: throttle
  createSecret:      TOKEN_STORE_THROTTLED old+empty 3·0·0·0·0·0 0s
  testSecret:        TOKEN_STORE_THROTTLED old+pending 3·0 0s
  finishSecret:      TOKEN_STORE_THROTTLED old+pending 3·0·0 0s

describe_secret, always: refuse
  createSecret:      TOKEN_STORE_DENIED old+empty 1·0·0·0·0·0 0s
  testSecret:        TOKEN_STORE_DENIED old+pending 1·0 0s
  finishSecret:      TOKEN_STORE_DENIED old+pending 1·0·0 0s

describe_secret, always: unavailable reset lost hang
  createSecret:      TOKEN_STORE_UNAVAILABLE old+empty 3·0·0·0·0·0 0s
  testSecret:        TOKEN_STORE_UNAVAILABLE old+pending 3·0 0s
  finishSecret:      TOKEN_STORE_UNAVAILABLE old+pending 3·0·0 0s

describe_secret, always: garbage
  createSecret:      TOKEN_STORE_UNAVAILABLE old+empty 1·0·0·0·0·0 0s
  testSecret:        TOKEN_STORE_UNAVAILABLE old+pending 1·0 0s
  finishSecret:      TOKEN_STORE_UNAVAILABLE old+pending 1·0·0 0s

read_pending, once: delay
  createSecret:      done old+pending 1·2·1·1·1·1 3s
  testSecret:        done old+pending 1·1 3s
  finishSecret:      done new 2·2·2 3s

read_pending, once: throttle unavailable reset lost hang
  createSecret:      done old+pending 1·3·1·1·1·1 0s
  testSecret:        done old+pending 1·2 0s
  finishSecret:      done new 2·3·2 0s

read_pending, once: refuse
  createSecret:      TOKEN_STORE_DENIED old+empty 1·1·0·0·0·0 0s
  testSecret:        TOKEN_STORE_DENIED old+pending 1·1 0s
  finishSecret:      TOKEN_STORE_DENIED old+pending 1·1·0 0s

read_pending, once: garbage
  createSecret:      TOKEN_STORE_UNAVAILABLE old+empty 1·1·0·0·0·0 0s
  testSecret:        TOKEN_STORE_UNAVAILABLE old+pending 1·1 0s
  finishSecret:      TOKEN_STORE_UNAVAILABLE old+pending 1·1·0 0s

read_pending, always: throttle
  createSecret:      TOKEN_STORE_THROTTLED old+empty 1·3·0·0·0·0 0s
  testSecret:        TOKEN_STORE_THROTTLED old+pending 1·3 0s
  finishSecret:      TOKEN_STORE_THROTTLED old+pending 1·3·0 0s

read_pending, always: refuse
  createSecret:      TOKEN_STORE_DENIED old+empty 1·1·0·0·0·0 0s
  testSecret:        TOKEN_STORE_DENIED old+pending 1·1 0s
  finishSecret:      TOKEN_STORE_DENIED old+pending 1·1·0 0s

read_pending, always: unavailable reset lost hang
  createSecret:      TOKEN_STORE_UNAVAILABLE old+empty 1·3·0·0·0·0 0s
  testSecret:        TOKEN_STORE_UNAVAILABLE old+pending 1·3 0s
  finishSecret:      TOKEN_STORE_UNAVAILABLE old+pending 1·3·0 0s

read_pending, always: garbage
  createSecret:      TOKEN_STORE_UNAVAILABLE old+empty 1·1·0·0·0·0 0s
  testSecret:        TOKEN_STORE_UNAVAILABLE old+pending 1·1 0s
  finishSecret:      TOKEN_STORE_UNAVAILABLE old+pending 1·1·0 0s

move_label, once: delay
  finishSecret:      done new 2·2·2 3s

move_label, once: throttle unavailable hang
  finishSecret:      done new 2·2·3 0s

move_label, once: refuse
  finishSecret:      TOKEN_STORE_DENIED old+pending 1·2·1 0s

move_label, once: reset lost
  finishSecret:      done new 2·3·3 0s

move_label, once: garbage
  finishSecret:      TOKEN_STORE_UNAVAILABLE old+pending 1·2·1 0s

move_label, always: throttle
  finishSecret:      TOKEN_STORE_THROTTLED old+pending 1·2·3 0s

move_label, always: refuse
  finishSecret:      TOKEN_STORE_DENIED old+pending 1·2·1 0s

move_label, always: unavailable hang
  finishSecret:      TOKEN_STORE_UNAVAILABLE old+pending 1·2·3 0s

move_label, always: reset lost
  finishSecret:      TOKEN_STORE_UNAVAILABLE new+label 1·2·3 0s

move_label, always: garbage
  finishSecret:      TOKEN_STORE_UNAVAILABLE old+pending 1·2·1 0s

remove_label, once: delay
  finishSecret:      done new 2·2·2 3s

remove_label, once: throttle unavailable hang
  finishSecret:      done new 2·2·3 0s

remove_label, once: reset lost
  finishSecret:      done new 3·2·3 0s

remove_label, once: refuse
  finishSecret:      TOKEN_STORE_DENIED new+label 2·2·2 0s

remove_label, once: garbage
  finishSecret:      TOKEN_STORE_UNAVAILABLE new+label 2·2·2 0s

remove_label, always: throttle
  finishSecret:      TOKEN_STORE_THROTTLED new+label 2·2·4 0s

remove_label, always: refuse
  finishSecret:      TOKEN_STORE_DENIED new+label 2·2·2 0s

remove_label, always: unavailable hang
  finishSecret:      TOKEN_STORE_UNAVAILABLE new+label 2·2·4 0s

remove_label, always: reset lost
  finishSecret:      TOKEN_STORE_UNAVAILABLE new 2·2·4 0s

remove_label, always: garbage
  finishSecret:      TOKEN_STORE_UNAVAILABLE new+label 2·2·2 0s

reader_read, once: delay
  cold reader:       got old old 1 3s
  warm reader:       got old old 1 3s
  reader and broker: got new new 2·1·1·1·1 3s

reader_read, once: throttle unavailable reset lost hang
  cold reader:       got old old 2 0s
  warm reader:       got old old 2 0s
  reader and broker: got new new 3·1·1·1·1 0s

reader_read, once: refuse
  cold reader:       TOKEN_SECRET_DENIED old 1 0s
  warm reader:       got old old 1 0s !TOKEN_SECRET_DENIED
  reader and broker: got new new 2·1·1·1·1 0s !TOKEN_SECRET_DENIED

reader_read, once: garbage
  cold reader:       TOKEN_SECRET_UNREADABLE old 1 0s
  warm reader:       got old old 1 0s !TOKEN_SECRET_UNREADABLE
  reader and broker: got new new 2·1·1·1·1 0s !TOKEN_SECRET_UNREADABLE

reader_read, always: throttle unavailable reset lost hang
  cold reader:       TOKEN_SECRET_UNREADABLE old 3 0s
  warm reader:       got old old 3 0s !TOKEN_SECRET_UNREADABLE
  reader and broker: got new old 6·1·1·1·0 0s !TOKEN_SECRET_UNREADABLE

reader_read, always: refuse
  cold reader:       TOKEN_SECRET_DENIED old 1 0s
  warm reader:       got old old 1 0s !TOKEN_SECRET_DENIED
  reader and broker: got new old 2·1·1·1·0 0s !TOKEN_SECRET_DENIED

reader_read, always: garbage
  cold reader:       TOKEN_SECRET_UNREADABLE old 1 0s
  warm reader:       got old old 1 0s !TOKEN_SECRET_UNREADABLE
  reader and broker: got new old 2·1·1·1·0 0s !TOKEN_SECRET_UNREADABLE
`;

const expectations = new Map<string, string>();
let header = '';
let faults: string[] = [];
for (const line of table.split('\n').filter(Boolean)) {
  const [, step, frequency, names] = /^(\w+), (once|always): (.+)$/.exec(line) ?? [];
  if (step !== undefined) {
    header = `${step} ${frequency}`;
    faults = names?.split(' ') ?? [];
    continue;
  }
  const [, entry, outcome] = /^ {2}([\w ]+): +(.+)$/.exec(line) ?? [];
  if (!entries.includes(entry as Entry) || outcome === undefined) throw new Error(`What does "${line}" mean?`);
  for (const fault of faults) {
    const key = `${header} ${fault} ${entry}`;
    if (expectations.has(key)) throw new Error(`What must come of ${key} is said twice.`);
    expectations.set(key, outcome);
  }
}

/** @throws Error when nobody has said what must come of the cell. */
export function expectedOf({ step, fault, frequency, entry }: Cell): string {
  const expected = expectations.get(`${step} ${frequency} ${fault} ${entry}`);
  if (expected === undefined)
    throw new Error(`Nobody has said what must come of ${step} ${fault} ${frequency}, ${entry}.`);
  return expected;
}

export const expectedCount = expectations.size;
