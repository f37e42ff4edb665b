// Loaded into a container before the handler (NODE_OPTIONS=--import): says every place that the process goes to.
import dgram from 'node:dgram';
import dns from 'node:dns';
import net from 'node:net';

const say = (what, where) => process.stdout.write(`${JSON.stringify({ destination: `${what} ${where}` })}\n`);

const { connect } = net.Socket.prototype;
net.Socket.prototype.connect = function (...parameters) {
  const [first] = parameters;
  const [options] = Array.isArray(first) ? first : [typeof first === 'object' ? first : { port: first }];
  say('connect', options.path ?? `${options.host ?? 'localhost'}:${options.port}`);
  return Reflect.apply(connect, this, parameters);
};
for (const [owner, names] of [
  [dns, ['lookup', 'resolve', 'resolve4', 'resolve6', 'resolveAny']],
  [dns.promises, ['lookup', 'resolve', 'resolve4', 'resolve6', 'resolveAny']],
]) {
  for (const name of names) {
    const original = owner[name];
    owner[name] = (...parameters) => {
      say('name', parameters[0]);
      return Reflect.apply(original, owner, parameters);
    };
  }
}
const { send } = dgram.Socket.prototype;
dgram.Socket.prototype.send = function (...parameters) {
  say('datagram', parameters.filter((part) => typeof part === 'string').join(' '));
  return Reflect.apply(send, this, parameters);
};
