import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { diskStorage } from "../../../src/spool/disk_storage.ts";
import { openSpoolFolder, SpoolLockedError, SpoolPathError } from "../../../src/spool/spool_folder.ts";
import { StorageError } from "../../../src/spool/storage.ts";
import { closePartition, numbered, numberOf, openPartition, readAll } from "../../support/spool_fixture.ts";

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "landfall-spool-" });
  try {
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

Deno.test("diskStorage: what was never written of a sparse file takes no room, and that of others is not looked at", () =>
  inFolder(async (folder) => {
    for (const mode of ["create_sparse", "create"] as const) {
      const file = await diskStorage.open(`${folder}/${mode}`, mode);
      await file.write([bytes("end")], 1 << 20);
      await file.truncate(2 << 20);
      await file.sync();
      const occupied = await file.occupied();
      if (mode === "create") assertEquals(occupied, 2 << 20);
      else assert(occupied > 0 && occupied <= 1 << 16, `${occupied} bytes`);
      assertEquals((await diskStorage.list(folder)).find(({ name }) => name === mode), {
        ...{ name: mode, isFolder: false, bytes: 2 << 20, occupied },
      });
      file.close();
    }
  }));

Deno.test("diskStorage: writes in pieces, reads at any place, truncates and lists", () =>
  inFolder(async (folder) => {
    await diskStorage.ensureFolder(`${folder}/a/b`);
    const path = `${folder}/a/b/file`;
    const file = await diskStorage.open(path, "create");
    assertEquals(await file.write([bytes("hello "), bytes(""), bytes("world")], 0), 11);
    assertEquals(await file.write([bytes("W")], 6), 1);
    assertEquals(await file.write([bytes("!!")], 11), 2);
    await file.truncate(12);
    await file.sync();
    assertEquals(await file.size(), 12);
    file.close();
    const again = await diskStorage.open(path, "read");
    const into = new Uint8Array(6);
    assertEquals([await again.read(into, 6), new TextDecoder().decode(into)], [6, "World!"]);
    assertEquals(await again.read(into, 12), 0);
    again.close();
    assertEquals(await diskStorage.list(`${folder}/a`), [{
      name: "b",
      isFolder: true,
      bytes: 0,
      occupied: 0,
    }]);
    await diskStorage.replaceFile(path, bytes("new"));
    await diskStorage.rename(path, `${folder}/a/moved`);
    assertEquals(await diskStorage.readFile(`${folder}/a/moved`), bytes("new"));
    await diskStorage.removeFolder(`${folder}/a/b`);
    assertEquals(await diskStorage.list(`${folder}/a`), [{
      name: "moved",
      isFolder: false,
      bytes: 3,
      occupied: 3,
    }]);
    await diskStorage.remove(`${folder}/a/moved`);
  }));

Deno.test("diskStorage: failures say what they are", () =>
  inFolder(async (folder) => {
    const kindOf = async (call: () => Promise<unknown>) => (await assertRejects(call, StorageError)).kind;
    await Deno.writeTextFile(`${folder}/file`, "x");
    assertEquals(await kindOf(() => diskStorage.open(`${folder}/none`, "read")), "not_found");
    assertEquals(await kindOf(() => diskStorage.open(`${folder}/file`, "create")), "exists");
    assertEquals(await kindOf(() => diskStorage.ensureFolder(`${folder}/file`)), "exists");
    assertEquals(await kindOf(() => diskStorage.ensureFolder(`${folder}/file/below`)), "exists");
    assertEquals(await kindOf(() => diskStorage.replaceFile(`${folder}/file/x`, bytes("x"))), "exists");
  }));

Deno.test("spool on disk: what was appended is there after both halves are gone", () =>
  inFolder(async (folder) => {
    const { partitions, release } = await openSpoolFolder(diskStorage, `${folder}/spool`, 2);
    const first = await openPartition(diskStorage, { folder: partitions[1]!, segmentBytesMax: 5000 });
    const numbers = Array.from({ length: 100 }, (_, n) => n);
    await Promise.all(numbers.map((n) => first.writer.append(numbered(n, n * 10))));
    const records = await readAll(first.reader);
    assertEquals(records.map(numberOf), numbers);
    for (const { position } of records.slice(0, 50)) first.reader.settle(position);
    await closePartition(first);
    release();
    const reopened = await openSpoolFolder(diskStorage, `${folder}/spool`, 1);
    const second = await openPartition(diskStorage, { folder: reopened.partitions[0]! });
    assertEquals((await readAll(second.reader)).map(numberOf), numbers.slice(50));
    await closePartition(second);
    reopened.release();
  }));

Deno.test("openSpoolFolder: a file in its place is explained, a Relay's database by name", () =>
  inFolder(async (folder) => {
    await Deno.writeTextFile(`${folder}/plain`, "x");
    await Deno.writeTextFile(`${folder}/relay.db`, "SQLite format 3\0 and so on");
    const plain = await assertRejects(
      () => openSpoolFolder(diskStorage, `${folder}/plain`, 1),
      SpoolPathError,
    );
    assertStringIncludes(plain.message, "is not a folder");
    const relay = await assertRejects(
      () => openSpoolFolder(diskStorage, `${folder}/relay.db`, 1),
      SpoolPathError,
    );
    assertStringIncludes(relay.message, "SQLite database, perhaps the spool of a Relay");
  }));

Deno.test("openSpoolFolder: another process that holds the folder is named, and its death frees it", () =>
  inFolder(async (folder) => {
    const module = new URL("../../../src/spool/", import.meta.url).href;
    const source = `
      import { openSpoolFolder } from "${module}spool_folder.ts";
      import { diskStorage } from "${module}disk_storage.ts";
      await openSpoolFolder(diskStorage, ${JSON.stringify(folder)}, 1);
      console.log("locked");
      setInterval(() => {}, 1000);
    `;
    const config = new URL("../../../deno.json", import.meta.url).pathname;
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--config",
        config,
        `data:application/typescript,${encodeURIComponent(source)}`,
      ],
      stdout: "piped",
    }).spawn();
    const output = child.stdout.getReader();
    const first = await output.read();
    assert(first.value && new TextDecoder().decode(first.value).startsWith("locked"));
    // In a process of its own too, because a runtime that can only wait for a lock leaves that wait behind.
    const second = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "-A",
        "--no-check",
        "--config",
        config,
        `data:application/typescript,${encodeURIComponent(source)}`,
      ],
    }).output();
    assertEquals(second.success, false);
    const message = new SpoolLockedError(folder, `process ${child.pid}`).message;
    assertStringIncludes(new TextDecoder().decode(second.stderr), message);
    child.kill("SIGKILL");
    await child.status;
    await output.cancel();
    (await openSpoolFolder(diskStorage, folder, 1)).release();
  }));
