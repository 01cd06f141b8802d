internal import CLinux
internal import Glibc
import MeshCore

// Moving bytes between the socket and the queues.
extension Connection {
  private static let readPerTurn = 64 * 1024
  private static let writePerTurn = 256 * 1024
  private static let smallestRead = 4 * 1024
  private static let largestRead = 64 * 1024

  // MARK: - Reading

  /// Reads what may be read in this turn and tells the handler.
  func receive() {
    if wantsClose {
      // The handler has taken leave; what still comes is dropped when lingering begins.
      if hasSocketError { close(.established(max(clinux_socket_error(descriptor), ECONNRESET))) }
      return
    }
    if isReadPaused { return noticeResetWhilePaused() }
    let before = input.count
    var failure: CloseReason?
    var sawEnd = false
    if !reachedEnd {
      switch session {
      case nil: failure = readPlain(sawEnd: &sawEnd)
      case let session?: failure = readTLS(session, sawEnd: &sawEnd)
      }
    }
    let received = input.count &- before
    if received > 0 {
      bytesRead &+= UInt64(received)
      lastActivity = worker.now
      lastReceived = worker.now
    }
    if received > 0 || deliversAgain {
      deliversAgain = false
      handler?.connectionReceived(self)
    }
    guard phase == .open else { return }
    if let failure { return close(failure) }
    if sawEnd { deliverEnd() } else { continueReading() }
  }

  private func readPlain(sawEnd: inout Bool) -> CloseReason? {
    var budget = Self.readPerTurn
    while isReadable, budget > 0, input.count < inputHighWatermark {
      let room = UnsafeMutableRawBufferPointer(rebasing: input.reserve(readSize).prefix(Self.largestRead))
      let n = clinux_recv(descriptor, room.baseAddress, room.count)
      worker.counters.reads += 1
      if n > 0 {
        input.commit(n)
        budget -= n
        worker.counters.bytesRead &+= UInt64(n)
        // A short read has emptied the socket; the next byte, or FIN, makes a new edge (epoll(7), question 9).
        if n < room.count, !endIsNear { isReadable = false }
        adaptReadSize(n, room: room.count)
        continue
      }
      input.releaseIfEmpty()
      if n == 0 {
        sawEnd = true
        isReadable = false
      } else if n == -Int(EAGAIN) {
        isReadable = false
      } else {
        return .established(Int32(-n))
      }
    }
    return nil
  }

  private func adaptReadSize(_ n: Int, room: Int) {
    if n == room {
      readSize = min(readSize * 4, Self.largestRead)
    } else if n <= readSize / 4 {
      readSize = max(readSize / 4, Self.smallestRead)
    }
  }

  private func readTLS(_ session: TLSSession, sawEnd: inout Bool) -> CloseReason? {
    guard canRead, input.count < inputHighWatermark else { return nil }
    let outcome = session.read(into: input, budget: Self.readPerTurn, limit: inputHighWatermark)
    collectCounts(session)
    input.releaseIfEmpty()
    switch outcome {
    case .wouldBlock: isReadable = false
    case .more: break
    case .end:
      isReadable = false
      sawEnd = true
    case .failed(let reason): return reason
    }
    return nil
  }

  private func deliverEnd() {
    reachedEnd = true
    handler?.connectionReachedEnd(self)
    if phase == .open, writeIsShut { close(.peerClosed) }
  }

  /// Leaves the rest for the next turn, or until the handler has consumed.
  private func continueReading() {
    guard canRead else { return }
    if input.count < inputHighWatermark {
      enqueue()
    } else if !isStalled {
      isStalled = true
      worker.enqueueStalled(self)
    }
  }

  /// End of turn, for a connection that stopped at its high watermark: true when it may leave the list.
  func leaveStallIfConsumed() -> Bool {
    if phase == .open, !isReadPaused, !wantsClose, input.count >= inputHighWatermark { return false }
    isStalled = false
    if phase == .open, canRead { enqueue() }
    return true
  }

  /// A reset is told even while reading is paused, unless bytes that came before it still wait in the kernel.
  private func noticeResetWhilePaused() {
    guard hasSocketError, clinux_unread_bytes(descriptor) <= 0 else { return }
    let code = clinux_socket_error(descriptor)
    close(.established(code == 0 ? ECONNRESET : code))
  }

  // MARK: - Writing

  /// The flush of this turn.
  func flushNow() {
    isDirty = false
    guard phase == .open else { return }
    if isOverHighWatermark { isOverflowing = true }
    // Dropped only now: who stopped writing at the watermark waits for `connectionDrained` all the same.
    if writeIsShut { output.removeAll() }
    let before = output.count
    let failure: CloseReason?
    switch session {
    case nil: failure = writePlain()
    case let session?: failure = writeTLS(session)
    }
    if countsWaitingOutput { countWaitingOutput(min(output.count, outputHighWatermark)) }
    let written = before &- output.count
    if written > 0 {
      bytesWritten &+= UInt64(written)
      lastActivity = worker.now
      if wantsClose { arm(lingerTime) }
    }
    if let failure { return close(failure) }
    if output.isEmpty {
      finishWriting()
    } else if isWritable {
      flushesAgain = true
      enqueue()
    }
    if flushTimeout > .zero { timeFlush(madeProgress: written > 0) }
    guard phase == .open, isOverflowing, output.count <= outputLowWatermark else { return }
    isOverflowing = false
    drainedPending = true
    enqueue()
  }

  /// The time runs from the last byte that the peer took, as long as output waits.
  private func timeFlush(madeProgress: Bool) {
    guard phase == .open, !wantsClose else { return }
    if output.isEmpty {
      if isFlushTimed { disarm() }
      isFlushTimed = false
    } else if madeProgress || !isFlushTimed {
      isFlushTimed = true
      arm(flushTimeout)
    }
  }

  func cutSlowReader() {
    isFlushTimed = false
    guard !output.isEmpty, flushTimeout > .zero else { return }
    _ = clinux_set_reset_on_close(descriptor)
    close(.flushTimeout)
  }

  private func writePlain() -> CloseReason? {
    var budget = Self.writePerTurn
    while isWritable, budget > 0, !output.isEmpty {
      let bytes = output.readable
      let size = min(bytes.count, budget)
      let n = clinux_send(descriptor, bytes.baseAddress, size)
      worker.counters.writes += 1
      if n >= 0 {
        output.consume(n)
        budget -= n
        worker.counters.bytesWritten &+= UInt64(n)
        // The send buffer is full: an EPOLLOUT edge follows.
        if n < size { isWritable = false }
      } else if n == -Int(EAGAIN) {
        isWritable = false
      } else {
        return writeFailure(.established(Int32(-n)))
      }
    }
    return nil
  }

  private func writeTLS(_ session: TLSSession) -> CloseReason? {
    guard isWritable, !output.isEmpty else { return nil }
    let outcome = session.write(from: output, budget: Self.writePerTurn)
    collectCounts(session)
    switch outcome {
    case .wouldBlock: isWritable = false
    case .more, .end: break
    case .failed(.tls(let failure, let detail)): return .tls(failure, detail: detail)
    case .failed(let reason): return writeFailure(reason)
    }
    return nil
  }

  /// The peer is gone. What it sent before may still wait: it is read first, so that an early response is not lost, nor the alert by
  /// which a TLS server says why it refused.
  private func writeFailure(_ reason: CloseReason) -> CloseReason? {
    output.removeAll()
    let waits = clinux_unread_bytes(descriptor) > 0 || session?.hasPendingInput == true
    guard !wantsClose, !isReadPaused, waits else { return reason }
    writeIsShut = true
    endIsNear = true
    isReadable = true
    session?.noteEndIsNear()
    enqueue()
    return nil
  }

  private func finishWriting() {
    guard wantsWriteShutdown, !writeIsShut else {
      if wantsClose { beginLingering() }
      return
    }
    if let session, !session.sendCloseNotify() {
      isWritable = false
      return
    }
    if let session { collectCounts(session) }
    writeIsShut = true
    _ = clinux_shutdown_write(descriptor)
    if wantsClose { beginLingering() } else if reachedEnd { close(.peerClosed) }
  }
}
