/** Takes PromQL apart as far as needed to see what a query asks for. */

/** A series a query selects. */
export interface QueriedSeries {
  readonly name: string;
  readonly matchers: readonly { readonly label: string; readonly operator: string; readonly value: string }[];
}

const FUNCTIONS = new Set(
  "sum max min avg count rate increase histogram_quantile predict_linear absent by without and or unless on ignoring bool"
    .split(" "),
);
const TOKEN =
  /\s*("(?:[^"\\]|\\.)*"|[a-zA-Z_:$][\w:]*|[0-9.]+[smhdw]?|=~|!~|!=|==|>=|<=|[-+*/^%(){}\[\],=<>])/y;

/** What a query selects, and by which labels it groups. @throws {Error} when it is no PromQL that is known here */
export function queriedSeries(query: string): { series: QueriedSeries[]; grouped: string[] } {
  const tokens = tokensOf(query);
  const series: QueriedSeries[] = [];
  const grouped: string[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (token === "by" || token === "without") {
      while (tokens[++i] !== ")") if (/^\w+$/.test(tokens[i]!)) grouped.push(tokens[i]!);
    } else if (token === "[") {
      while (tokens[++i] !== "]");
    } else if (/^[a-z_:]/i.test(token) && !FUNCTIONS.has(token)) {
      const matchers: { label: string; operator: string; value: string }[] = [];
      if (tokens[i + 1] === "{") {
        for (i += 2; tokens[i] !== "}"; i++) {
          if (tokens[i] === ",") continue;
          const [label, operator, value] = [tokens[i]!, tokens[++i]!, tokens[++i]!];
          if (!value.startsWith("$") && value !== '"$instance"') {
            matchers.push({ label, operator, value: JSON.parse(value) });
          }
        }
      }
      series.push({ name: token, matchers });
    }
  }
  return { series, grouped };
}

function tokensOf(query: string): string[] {
  const tokens: string[] = [];
  let depth = 0;
  TOKEN.lastIndex = 0;
  while (TOKEN.lastIndex < query.length) {
    const at = TOKEN.lastIndex;
    const token = TOKEN.exec(query)?.[1];
    if (token === undefined) throw new Error(`cannot be read from here: ${query.slice(at)}`);
    if ("([{".includes(token)) depth++;
    if (")]}".includes(token)) depth--;
    tokens.push(token);
  }
  if (depth !== 0) throw new Error(`brackets do not match: ${query}`);
  return tokens;
}
