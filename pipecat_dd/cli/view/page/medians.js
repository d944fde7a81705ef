/** Sums of lists of numbers. */

/** The median; undefined of nothing. */
export function median(numbers) {
  if (!numbers.length) return undefined;
  const sorted = [...numbers].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

/** The largest; undefined of nothing. */
export function largest(numbers) {
  let found;
  for (const number of numbers) if (found === undefined || number > found) found = number;
  return found;
}

export function sum(numbers) {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}

/** The first index whose value is at least so much, in a list that never falls. */
export function lowerBound(sorted, value, from = 0) {
  let [low, high] = [from, sorted.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (sorted[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}
