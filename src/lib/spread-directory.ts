/**
 * ext4 puts a new directory near its parent, and then searches past every inode that was freed there
 * during the last minutes: a tree made where one was just deleted takes ten times as long. A directory
 * with the "top of hierarchy" attribute (chattr(1), T) has its children spread over the disk instead.
 */

/** For directories whose children are whole trees that come and go. No effect on other file systems. */
export const spreadChildren = (...directories: readonly string[]): void => {
  const chattr = Bun.which("chattr");
  if (chattr === null || directories.length === 0) return;
  // Where the attribute is not known chattr says so and fails: nothing is lost but speed.
  Bun.spawnSync([chattr, "+T", ...directories], { stdout: "ignore", stderr: "ignore" });
};
