import TestPeers

extension Rig {
  /// Starts php-fpm on `php.sock` with so many processes, which run scripts wherever they lie.
  func php(children: Int, _ more: String = "") throws -> Peer {
    let file = try write(
      """
      [global]
      error_log = \(path("php.log"))
      daemonize = no
      [www]
      listen = \(path("php.sock"))
      listen.mode = 0666
      user = root
      pm = static
      pm.max_children = \(children)
      php_admin_flag[log_errors] = on
      php_admin_flag[display_errors] = off
      \(more)
      """,
      to: "php.conf"
    )
    return try start(
      ["/usr/sbin/php-fpm8.2", "-n", "-R", "-F", "-y", file],
      at: socket("php.sock")
    )
  }
}
