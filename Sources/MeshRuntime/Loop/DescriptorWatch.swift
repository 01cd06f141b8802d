internal import CLinux
internal import Glibc
import MeshCore

/// Told when a descriptor that a library owns can be read or written. Level-triggered.
protocol DescriptorHandler: AnyObject {
  func descriptorReady(_ descriptor: Int32, canRead: Bool, canWrite: Bool)
}

/// A descriptor of a library on a worker's loop. The library closes it, after `end`.
final class DescriptorWatch {
  private unowned let worker: Worker
  private let descriptor: Int32
  private weak let handler: (any DescriptorHandler)?
  var key = Slab<EventSource>.Key(rawValue: 0)
  private var events: UInt32 = 0

  init(worker: Worker, descriptor: Int32, handler: any DescriptorHandler) {
    self.worker = worker
    self.descriptor = descriptor
    self.handler = handler
  }

  /// What is waited for. False: the kernel refuses.
  func wait(read: Bool, write: Bool) -> Bool {
    let wanted = (read ? CLINUX_IN : 0) | (write ? CLINUX_OUT : 0)
    defer { events = wanted }
    let code =
      events == 0
      ? clinux_epoll_add(worker.epoll, descriptor, wanted, key.rawValue)
      : clinux_epoll_modify(worker.epoll, descriptor, wanted, key.rawValue)
    return code == 0
  }

  func end() {
    if events != 0 { _ = clinux_epoll_remove(worker.epoll, descriptor) }
    events = 0
    worker.forget(key)
  }

  /// Errors and ends are found by reading and writing.
  func ready(_ flags: UInt32) {
    let isBroken = flags & ~(CLINUX_IN | CLINUX_OUT) != 0
    handler?.descriptorReady(
      descriptor, canRead: isBroken || flags & CLINUX_IN != 0, canWrite: isBroken || flags & CLINUX_OUT != 0)
  }
}
