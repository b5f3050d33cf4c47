# Sidekiq's jobs and its settings: the worker process loads this file, and sidekiq_queue.rb too.

require 'sidekiq'

URL = "redis://127.0.0.1:#{Integer(ENV.fetch('CLIENTS_PORT'))}/0"

Redis.silence_deprecations = true if defined?(Redis) && Redis.respond_to?(:silence_deprecations=)
Sidekiq.configure_server do |config|
  config.redis = { url: URL }
  # It looks every second or so for what is due, and at once.
  settings = config.respond_to?(:options) ? config.options : config
  settings[:poll_interval_average] = 1
end
Sidekiq.configure_client { |config| config.redis = { url: URL } }

# Counts that the program reads.
module Notes
  def self.add(key, by = 1)
    Sidekiq.redis { |redis| redis.incrby("notes:#{key}", by) }
  end
end

class Adder
  include Sidekiq::Worker

  def perform(key, by)
    Notes.add(key, by)
  end
end

class Failing
  include Sidekiq::Worker
  sidekiq_options retry: 3
  sidekiq_retry_in { |_| 1 }

  def perform(key, times)
    raise 'on purpose' if Notes.add(key) < times
  end
end

class Hopeless
  include Sidekiq::Worker
  sidekiq_options retry: 0

  def perform
    raise 'on purpose'
  end
end
