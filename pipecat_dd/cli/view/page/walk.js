/** Where the keys lead: from span to span along a lane, from lane to lane, from turn to turn. */

import { nodesOf } from "./lanes.js";

const within = (items, at) => items[Math.min(items.length - 1, Math.max(0, at))];

/** The first span of a lane, or with -1 the last. */
export function endOf(lane, at) {
  return lane && nodesOf(lane).at(at);
}

/** The span of a lane that is nearest to a time. */
export function nearestOf(lane, time) {
  const away = (node) => Math.max(0, node.start - time, time - node.end);
  return nodesOf(lane).reduce((best, node) => (away(node) < away(best) ? node : best));
}

/** The span so many further in its lane. */
export function besideIn(lane, node, by) {
  const nodes = nodesOf(lane);
  return within(nodes, nodes.indexOf(node) + by);
}

/** The span at the same time in the lane so many further down; undefined where there is none. */
export function besideLane(lanes, lane, node, by) {
  const other = lanes[lanes.indexOf(lane) + by];
  return other && nearestOf(other, (node.start + node.end) / 2);
}

/** The turn so many further; from none, the first or the last. */
export function besideTurn(turns, turn, by) {
  if (!turn) return by > 0 ? turns[0] : turns.at(-1);
  return within(turns, turns.indexOf(turn) + by);
}
