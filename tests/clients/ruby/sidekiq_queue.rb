# Sidekiq: a worker process, jobs at once and later, retries, the dead, and its API.

ENV['CLIENTS_PORT'] = ARGV.fetch(0)
require 'sidekiq/api'
require_relative 'sidekiq_jobs'

def until_true(what, seconds = 30)
  finish = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
  loop do
    got = yield
    return got if got
    raise "waited #{seconds} seconds in vain: #{what}" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > finish

    sleep 0.02
  end
end

def note(key)
  Sidekiq.redis { |redis| redis.get("notes:#{key}") }.to_i
end

def same(got, want)
  raise "got #{got.inspect}, and not #{want.inspect}" unless got == want
end

CASES = {
  'a queue is filled, looked at, cleared' => lambda {
    10.times { |n| Adder.set(queue: 'idle').perform_async('idle', n) }
    queue = Sidekiq::Queue.new('idle')
    same(queue.size, 10)
    same(queue.map { |job| job.args[1] }.sort, (0..9).to_a)
    same(queue.find_job(queue.first.jid).klass, 'Adder')
    queue.first.delete
    same(queue.size, 9)
    queue.clear
    same(queue.size, 0)
  },
  'many jobs, each once' => lambda {
    500.times { |n| Adder.perform_async('many', n) }
    Sidekiq::Client.push_bulk('class' => Adder, 'args' => Array.new(500) { |n| ['bulk', n] })
    until_true('all jobs') { note('many') == 124_750 && note('bulk') == 124_750 }
  },
  'jobs of later' => lambda {
    start = Time.now
    Adder.perform_in(1, 'later', 1)
    far = Adder.perform_in(3600, 'later', 100)
    same(Sidekiq::ScheduledSet.new.size, 2)
    until_true('the job') { note('later') == 1 }
    raise 'too early' if Time.now - start < 0.9

    Sidekiq::ScheduledSet.new.find_job(far).delete
    same(Sidekiq::ScheduledSet.new.size, 0)
  },
  'retries and the dead' => lambda {
    Failing.perform_async('failing', 2)
    until_true('the second try') { note('failing') == 2 }
    Hopeless.set(retry: 1).perform_async
    until_true('the retry') { Sidekiq::RetrySet.new.size == 1 || Sidekiq::DeadSet.new.size == 1 }
    Sidekiq::RetrySet.new.each(&:kill)
    until_true('the dead') { Sidekiq::DeadSet.new.size == 1 }
    same(Sidekiq::DeadSet.new.first['error_message'], 'on purpose')
    Sidekiq::DeadSet.new.clear
  },
  'what the API tells' => lambda {
    processes = until_true('the process') { found = Sidekiq::ProcessSet.new; found.size == 1 && found }
    same(processes.first['concurrency'], 5)
    until_true('the counts') { Sidekiq::Stats.new.processed >= 1003 }
    raise 'failures' unless Sidekiq::Stats.new.failed.positive?

    same(Sidekiq::Workers.new.size, 0)
  }
}.freeze

log = File.open(File::NULL, 'w')
worker = Process.spawn(
  RbConfig.ruby, '-S', 'sidekiq', '-r', File.expand_path('sidekiq_jobs.rb', __dir__), '-c', '5', '-t', '2',
  %i[out err] => log
)
failed = 0
begin
  CASES.each do |name, body|
    start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
    body.call
    puts "ok      #{name} (#{((Process.clock_gettime(Process::CLOCK_MONOTONIC) - start) * 1000).round} ms)"
  rescue StandardError => e
    failed += 1
    puts "FAILED  #{name}", e.full_message(highlight: false)
  end
ensure
  Process.kill('TERM', worker)
  Process.wait(worker)
end
exit(failed.zero? ? 0 : 1)
