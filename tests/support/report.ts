/** A line of a test's output that is no failure: what was measured, or why something was not tested. */
export function report(line: string): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${line}\n`));
}
