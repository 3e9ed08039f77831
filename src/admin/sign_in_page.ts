/** The form of {@link signInPage}, in the style of the status page. @param problem why the last try failed */
export function signInPage(problem: string | null): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Landfall: sign in</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/status.css">
</head>
<body class="sign-in">
<form method="post" action="/sign-in">
  <h1>Landfall</h1>
  <label for="token">Token of the admin listener</label>
  <input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
  ${problem === null ? "" : `<p class="problem" role="alert">${problem}</p>`}
  <button>Sign in</button>
  <p class="hint">It is <code>admin.token</code> of the node's configuration.</p>
</form>
</body>
</html>
`;
}
